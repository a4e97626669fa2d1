package dpop

import "strings"

// SameTarget reports whether a proof's htu means the URL that is base and path
// together, without query and fragment (RFC 9449 §4.3, check 9): after the
// normalization of RFC 3986 §6.2.2 and §6.2.3, byte for byte. Nothing means a
// path with an unencoded ? or #, which only an odd request has.
func SameTarget(htu, base, path string) bool {
	if strings.ContainsAny(path, "?#") {
		return false
	}
	if rest, ok := strings.CutPrefix(htu, base); ok && rest == path && path != "" {
		return true
	}
	said, ok := normalize(htu)
	if !ok {
		return false
	}
	meant, ok := normalize(base + path)
	return ok && said == meant
}

// normalize returns an http or https URL without query and fragment in its
// normal form. It refuses what is no such URL, and one with a user.
func normalize(raw string) (string, bool) {
	if strings.ContainsFunc(raw, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", false
	}
	raw, _, _ = strings.Cut(raw, "#")
	raw, _, _ = strings.Cut(raw, "?")
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`\"<>`, c) }) {
		return "", false
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "https" && scheme != "http" {
		return "", false
	}
	at := strings.IndexByte(rest, '/')
	if at < 0 {
		at = len(rest)
	}
	authority, ok := normalizeAuthority(scheme, rest[:at])
	if !ok {
		return "", false
	}
	path, ok := decodeUnreserved(rest[at:])
	if !ok {
		return "", false
	}
	return scheme + "://" + authority + withoutDots(path), true
}

// normalizeAuthority makes the host lower-case (RFC 3986 §6.2.2.1) and takes
// away the scheme's own port, or an empty one (§6.2.3).
func normalizeAuthority(scheme, authority string) (string, bool) {
	if authority == "" || strings.ContainsAny(authority, "@%") {
		return "", false
	}
	host, port := authority, ""
	if colon := strings.LastIndexByte(authority, ':'); colon > strings.LastIndexByte(authority, ']') {
		host, port = authority[:colon], authority[colon+1:]
	}
	if host == "" || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		port = ""
	}
	if port != "" {
		port = ":" + port
	}
	return strings.ToLower(host) + port, true
}

// decodeUnreserved decodes what needs no percent encoding, and writes the rest
// of the encodings in capitals (RFC 3986 §6.2.2.1 and §6.2.2.2).
func decodeUnreserved(path string) (string, bool) {
	if strings.IndexByte(path, '%') < 0 {
		return path, true
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			out = append(out, path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		high, ok1 := digit(path[i+1])
		low, ok2 := digit(path[i+2])
		if !ok1 || !ok2 {
			return "", false
		}
		if c := high<<4 | low; unreserved(c) {
			out = append(out, c)
		} else {
			const capitals = "0123456789ABCDEF"
			out = append(out, '%', capitals[high], capitals[low])
		}
		i += 2
	}
	return string(out), true
}

func digit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unreserved reports whether a character is one of RFC 3986 §2.3.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// withoutDots removes the segments "." and ".." (RFC 3986 §5.2.4). An empty
// path is "/" (§6.2.3).
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") {
		if path == "" {
			return "/"
		}
		return path
	}
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case ".", "..":
			if segment == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "") // "/a/.." is "/"
			}
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}
