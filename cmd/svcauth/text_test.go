package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a terminal would obey, or what can't be seen, is printed by no command,
// and JSON means the same as before.
func TestJSONForATerminal(t *testing.T) {
	text := "a\u009b31mb\u0085\u007f\u2028\u202e\u2066\u200b\u00ad\U000e0041\x1b é日本🚀\\\""
	var out bytes.Buffer
	require.NoError(t, writeJSON(&out, map[string]string{"name": text}))
	for _, r := range out.String() {
		require.False(t, unsafe(r) && r != '\n', "U+%04X", r)
	}
	require.Contains(t, out.String(), `\u009b31m`)
	require.Contains(t, out.String(), "é日本🚀")
	var back map[string]string
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, text, back["name"])
	require.Equal(t, "a?31mb??????? é", clean("a\u009b31mb\u0085\u007f\u2028\u202e\u2066\u200b\x1b é"))
}
