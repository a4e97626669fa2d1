package svcauth

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// ClaimsText returns claims as a JSON object without white space, names sorted,
// or "" if there are none. The server keeps and measures claims in this
// form.
func ClaimsText(claims map[string]any) (string, error) {
	if len(claims) == 0 {
		return "", nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(claims); err != nil {
		return "", fmt.Errorf("write claims as JSON: %w", err)
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}
