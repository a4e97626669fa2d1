package untrusted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var errNotObject = errors.New("not a JSON object in UTF-8")

// Members calls visit with each member of the JSON object in data, names unescaped,
// values raw. It refuses what two readers might understand differently: a repeated
// name, a name that differs from a known one only in case (encoding/json would take
// it), more than limit members, anything after the object (RFC 8725 §2.6 and §3.10;
// RFC 7519 §4).
func Members(data []byte, known []string, limit int, visit func(name string, value []byte) error) error {
	if !utf8.Valid(data) || !json.Valid(data) {
		return errNotObject
	}
	data = bytes.TrimLeft(data, " \t\r\n")
	if data[0] != '{' {
		return errNotObject
	}
	var room [24]string
	seen := room[:0]
	for at := skipSpace(data, 1); data[at] != '}'; {
		end := skipValue(data, at)
		name, err := String(data[at:end])
		if err != nil {
			return err
		}
		if err := checkName(name, known, seen); err != nil {
			return err
		}
		if seen = append(seen, name); len(seen) > limit {
			return fmt.Errorf("more than %d members", limit)
		}
		at = skipSpace(data, skipSpace(data, end)+1) // past the colon
		end = skipValue(data, at)
		if err := visit(name, data[at:end]); err != nil {
			return err
		}
		if at = skipSpace(data, end); data[at] == ',' {
			at = skipSpace(data, at+1)
		}
	}
	return nil
}

func checkName(name string, known, seen []string) error {
	for _, k := range known {
		if name != k && strings.EqualFold(name, k) {
			return fmt.Errorf("a member that differs from %s only in case", k)
		}
	}
	for _, s := range seen {
		if s == name {
			return errors.New("a repeated member")
		}
	}
	return nil
}

// skipSpace and skipValue run over JSON that is known to be valid.
func skipSpace(data []byte, at int) int {
	for data[at] == ' ' || data[at] == '\t' || data[at] == '\r' || data[at] == '\n' {
		at++
	}
	return at
}

func skipValue(data []byte, at int) int {
	depth := 0
	for ; at < len(data); at++ {
		switch data[at] {
		case '"':
			for at++; data[at] != '"'; at++ {
				if data[at] == '\\' {
					at++
				}
			}
			if depth == 0 {
				return at + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
			if depth < 0 {
				return at
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return at
			}
		}
	}
	return at
}

// String reads a JSON string.
func String(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", errors.New("expected a string")
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// CountElements returns how many elements the JSON array in data has, or more than
// limit if they are more. The data must be valid JSON; what is no array has none.
// It decodes nothing: an element `{}` may take fifty times as much as a Go value.
func CountElements(data []byte, limit int) (n int) {
	if data[0] != '[' {
		return 0
	}
	for at := skipSpace(data, 1); data[at] != ']' && n <= limit; n++ {
		if at = skipSpace(data, skipValue(data, at)); data[at] == ',' {
			at = skipSpace(data, at+1)
		}
	}
	return n
}
