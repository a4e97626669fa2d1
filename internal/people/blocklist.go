package people

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The passwords that attackers try first (NIST SP 800-63B-4 §3.1.1.2). Of those
// that leak most often hardly any has 15 characters. The ones that have are
// something short, made longer: repeated, run along the keyboard, common words
// strung together, or a phrase that everybody knows. Each of these ways is
// recognized rather than listed.

//go:embed commonwords.txt
var commonWords string

//go:embed commonphrases.txt
var commonPhrases string

// walks are the rows of keys and characters that fingers run along, either way.
var walks = []string{
	"abcdefghijklmnopqrstuvwxyz",
	"01234567890",
	"qwertyuiopasdfghjklzxcvbnm",
	"qwertzuiopasdfghjklyxcvbnm",
	"azertyuiopqsdfghjklmwxcvbn",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
	"qazwsxedcrfvtgbyhnujmikolp",
	"1q2w3e4r5t6y7u8i9o0p",
	"!@#$%^&*()",
	"zaqxswcdevfrbgtnhymjukilop",
}

const shortestWalk = 3

// predictable reports whether a password, in lower case, is one of those.
func predictable(lower string) bool {
	return repeats(lower) || walked(lower) || wordy(lower)
}

// repeats reports whether text is nothing but a short piece over and over: at
// most half of it.
func repeats(text string) bool {
	for period := 1; period <= len(text)/2; period++ {
		if text[period:] == text[:len(text)-period] {
			return true
		}
	}
	return false
}

// walked reports whether text consists of at most four runs along the keyboard,
// the alphabet or the digits.
func walked(text string) bool {
	for runs := 0; runs < 4; runs++ {
		n := walk(text)
		if n < shortestWalk {
			return false
		}
		if text = text[n:]; text == "" {
			return true
		}
	}
	return false
}

// walk returns the length of the run that text begins with: along one of walks,
// or of one character.
func walk(text string) int {
	longest := 0
	for _, w := range walks {
		backwards := []byte(w)
		slices.Reverse(backwards)
		for _, way := range []string{w, string(backwards)} {
			n := 0
			for n < len(text) && strings.Contains(way, text[:n+1]) {
				n++
			}
			longest = max(longest, n)
		}
	}
	same := 1
	for same < len(text) && text[same] == text[0] {
		same++
	}
	return max(longest, same)
}

var spelling = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "0", "o", "$", "s", "5", "s", "7", "t")

// wordy reports whether text is a phrase that everybody knows, or at most three
// different common words. Digits and signs may stand around and between them,
// or for letters.
func wordy(text string) bool {
	words := regexp.MustCompile(`[a-z]+`)
	trimmed := strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, spelled := range []string{text, spelling.Replace(text), spelling.Replace(trimmed)} {
		letters := strings.Join(words.FindAllString(spelled, -1), "")
		if slices.Contains(strings.Fields(commonPhrases), letters) ||
			len(letters) >= 4 && ofWords(letters, strings.Fields(commonWords), 3) {
			return true
		}
	}
	return false
}

// ofWords reports whether text is a string of words, of which at most so many
// are different.
func ofWords(text string, words []string, different int) bool {
	if text == "" {
		return true
	}
	for _, w := range words {
		if rest, ok := strings.CutPrefix(text, w); ok && different > 0 {
			for strings.HasPrefix(rest, w) {
				rest = rest[len(w):]
			}
			if ofWords(rest, words, different-1) {
				return true
			}
		}
	}
	return false
}

const (
	maxBlocklist = 256 << 20 // bytes
	maxBlocked   = 5_000_000 // passwords, some 60 bytes each
)

// ReadBlocklist reads passwords that nobody may choose, one a line. Those too
// short to be chosen anyway are left out. A file of more than 256 MiB or of
// five million long passwords is an error.
func ReadBlocklist(r io.Reader) ([]string, error) {
	limited := &io.LimitedReader{R: r, N: maxBlocklist + 1}
	lines := bufio.NewScanner(limited)
	var all []string
	for lines.Scan() {
		if line := strings.TrimRight(lines.Text(), "\r"); utf8.RuneCountInString(line) >= minPassword {
			all = append(all, line)
		}
		if len(all) > maxBlocked {
			return nil, fmt.Errorf("more than %d passwords of %d characters or more", maxBlocked, minPassword)
		}
	}
	if limited.N == 0 {
		return nil, errors.New("larger than 256 MiB")
	}
	return all, lines.Err()
}
