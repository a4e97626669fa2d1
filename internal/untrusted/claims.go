package untrusted

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
)

// Strings reads an array of strings or, if single is set, also a single string.
// The data must be valid JSON.
func Strings(raw []byte, single bool) ([]string, error) {
	if single && raw[0] == '"' {
		s, err := String(raw)
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

// Integer reads an integer.
func Integer(raw []byte) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, errors.New("expected an integer")
	}
	return n, nil
}

// NumericDate reads a NumericDate (RFC 7519 §2): seconds, possibly with a
// fraction, which is dropped.
func NumericDate(raw []byte) (time.Time, error) {
	n, err := Integer(raw)
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
