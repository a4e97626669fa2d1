package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// decode writes a value of the file, or the text of a variable, to the field
// that into points to. Types are not guessed: a number is no text and a text no
// number, save in the environment, where all is text. Its errors never quote a
// value that may be secret.
func decode(into, value any, fromEnv bool) (err error) {
	switch into := into.(type) {
	case *string:
		*into, err = decodeText(value)
	case *Secret:
		*into, err = decodeAs[Secret](value)
	case *URL:
		*into, err = decodeAs[URL](value)
	case *bool:
		*into, err = decodeBool(value, fromEnv)
	case *int:
		*into, err = decodeInt(value, fromEnv)
	case *time.Duration:
		*into, err = decodeDuration(value)
	case *[]string:
		*into, err = decodeList(value)
	case *[]netip.Prefix:
		*into, err = decodePrefixes(value)
	default:
		err = fmt.Errorf("has a type that the program can't read: %T", into) // a programmer's mistake
	}
	return err
}

func decodeAs[T ~string](value any) (T, error) {
	text, err := decodeText(value)
	return T(text), err
}

func decodeText(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return "", errors.New("holds a control character, such as a line break; take it out")
		}
		if strings.TrimSpace(v) != v {
			return "", errors.New("begins or ends with a space; take it out")
		}
		return v, nil
	}
	return "", fmt.Errorf("expected a text, got %s; put it between quotes", kindOf(value))
}

func decodeBool(value any, fromEnv bool) (bool, error) {
	if b, ok := value.(bool); ok {
		return b, nil
	}
	if s, ok := value.(string); ok && fromEnv && (s == "true" || s == "false") {
		return s == "true", nil
	}
	return false, fmt.Errorf("expected true or false, got %s", kindOf(value))
}

func decodeInt(value any, fromEnv bool) (int, error) {
	if n, ok := value.(int); ok {
		return n, nil
	}
	if s, ok := value.(string); ok && fromEnv {
		if n, err := strconv.Atoi(s); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("expected a whole number, got %s", kindOf(value))
}

func decodeDuration(value any) (time.Duration, error) {
	if s, ok := value.(string); ok {
		d, err := time.ParseDuration(s)
		if err == nil {
			return d, nil
		}
	}
	return 0, fmt.Errorf("expected a duration with its unit, such as 500ms, 30s, 5m or 12h, got %s", kindOf(value))
}

// decodeList takes a list of texts, or one text with commas.
func decodeList(value any) ([]string, error) {
	var list []string
	switch v := value.(type) {
	case nil:
	case string:
		if v == "" {
			break
		}
		for item := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(item))
		}
	case []any:
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("expected a list of texts, but entry %d is %s; put it between quotes",
					i+1, kindOf(item))
			}
			list = append(list, s)
		}
	default:
		return nil, fmt.Errorf("expected a list, such as [a, b], got %s", kindOf(value))
	}
	if len(list) > 100 {
		return nil, fmt.Errorf("has %d entries; at most 100 are taken", len(list))
	}
	for i, item := range list {
		if _, err := decodeText(item); err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
		if item == "" {
			return nil, fmt.Errorf("entry %d is empty; take it out", i+1)
		}
	}
	return list, nil
}

func decodePrefixes(value any) ([]netip.Prefix, error) {
	list, err := decodeList(value)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, item := range list {
		prefix, err := netip.ParsePrefix(item)
		if addr, addrErr := netip.ParseAddr(item); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil,
				fmt.Errorf("%s is not a network; expected one such as 10.0.0.0/8 or 2001:db8::/32, or an address",
					quoteName(item))
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// kindOf names a value for a message. It quotes texts, so no decoder of a type
// that may hold a secret calls it with one.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case string:
		if v == "" {
			return "an empty text"
		}
		return quoteName(v)
	case bool:
		return "true or false"
	case int, int64, uint64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case time.Time:
		return "a date"
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "a section"
	}
	return "something else"
}
