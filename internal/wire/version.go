package wire

import (
	"slices"
	"strconv"
	"strings"
)

// Version is that of pkg/resourceserver as it stands here, which subscribers
// tell the server. It is the newest release of the change log.
const Version = "0.1.0"

// BindingsSince is the first version of pkg/resourceserver that checks what a
// token is bound to: a key (RFC 9449 §7) or a certificate (RFC 8705 §3).
const BindingsSince = "0.1.0"

// ChecksBindings reports whether that version of pkg/resourceserver checks what
// a token is bound to. It is false for a text that is no version: nothing is
// known of such a subscriber.
func ChecksBindings(version string) bool {
	said, ok := parseVersion(version)
	since, _ := parseVersion(BindingsSince)
	return ok && slices.Compare(said, since) >= 0
}

// parseVersion reads the three numbers of a version.
func parseVersion(text string) (numbers []int, ok bool) {
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, false
		}
		numbers = append(numbers, int(n))
	}
	return numbers, len(numbers) == 3
}
