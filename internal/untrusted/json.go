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

// Members calls visit with each member of the JSON object in data, with its
// unescaped name and its raw value. It refuses what two readers might
// understand differently: a repeated name, a name that differs from a known one
// only in case (encoding/json would accept it), and anything after the object
// (RFC 8725 §2.6 and §3.10; RFC 7519 §4). It also refuses more than limit
// members.
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

// skipSpace returns the index of the next character that is not white space.
// The data must be valid JSON.
func skipSpace(data []byte, at int) int {
	for data[at] == ' ' || data[at] == '\t' || data[at] == '\r' || data[at] == '\n' {
		at++
	}
	return at
}

// skipValue returns the index after the value at at. The data must be valid
// JSON.
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

// String decodes a JSON string.
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

// CountElements returns how many elements the JSON array in data has, or a
// number above limit if there are more than that. The data must be valid JSON;
// a value that is not an array has none. It decodes nothing, since an element
// `{}` may take fifty times as much memory as a Go value.
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
