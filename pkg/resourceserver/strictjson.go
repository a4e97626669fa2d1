package resourceserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var errNotObject = errors.New("not a JSON object in UTF-8")

// members calls visit with each member of the JSON object in data, names unescaped,
// values raw. It refuses what two readers might understand differently: a repeated
// name, a name that differs from a known one only in case (encoding/json would take
// it), more than limit members, anything after the object (RFC 8725 §2.6 and §3.10;
// RFC 7519 §4).
func members(data []byte, known []string, limit int, visit func(name string, value []byte) error) error {
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
		name, err := text(data[at:end])
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

func text(raw []byte) (string, error) {
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

// texts reads an array of strings; where single is set, also one string.
func texts(raw []byte, single bool) ([]string, error) {
	if single && raw[0] == '"' {
		s, err := text(raw)
		return []string{s}, err
	}
	if raw[0] != '[' {
		return nil, errors.New("expected an array of strings")
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("expected an array of strings")
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, errors.New("expected an array of strings")
		}
		out[i] = *s
	}
	return out, nil
}

func integer(raw []byte) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, errors.New("expected an integer")
	}
	return n, nil
}

// moment reads a NumericDate (RFC 7519 §2): seconds, possibly with a fraction,
// which is dropped.
func moment(raw []byte) (time.Time, error) {
	n, err := integer(raw)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(raw), 64)
		if ferr != nil || math.IsNaN(f) || math.Abs(f) > maxSeconds {
			return time.Time{}, errors.New("expected seconds since 1970")
		}
		n = int64(math.Floor(f))
	}
	if n < 0 || n > maxSeconds {
		return time.Time{}, errors.New("expected seconds since 1970, not after the year 9999")
	}
	return time.Unix(n, 0), nil
}

const maxSeconds = 253402300799 // the last one of the year 9999
