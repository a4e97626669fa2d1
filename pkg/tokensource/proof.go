package tokensource

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// proof is what one request carries to say who sends it, and to prove it.
type proof struct {
	authorization string            // the header, if it is sent there
	form          map[string]string // parameters of the body
	// hidden are the forms in which something confidential is sent. They are
	// redacted in everything that comes back.
	hidden []string
	// advice is what to look at if the server answers 401; nil: nothing more
	// than it says.
	advice error
	// shown is the certificate that the request's connection has to show.
	shown *pair
}

// addTo adds the proof to a form, or to the header of the request that will
// carry the form.
func (p proof) addTo(form url.Values, header http.Header) {
	for name, value := range p.form {
		form.Set(name, value)
	}
	if p.authorization != "" {
		header.Set("Authorization", p.authorization)
	}
}

// scrub returns text from outside with everything hidden redacted: a server may
// echo it, and a RoundTripper may print the request that failed.
func (p proof) scrub(text string) string {
	for _, form := range p.hidden {
		if form != "" {
			text = strings.ReplaceAll(text, form, "[redacted]")
		}
	}
	return text
}

// clean makes text from outside safe for one line of a log. Line breaks become
// spaces.
func (p proof) clean(text string, limit int) string {
	return untrusted.Cut(untrusted.Line(strings.Join(strings.Fields(p.scrub(text)), " ")), limit)
}

// cause makes an error of net/http safe to wrap. It drops the address, whose
// query may be confidential. If the error shows something hidden, only its
// scrubbed text is kept.
func (p proof) cause(err error) error {
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	if text := err.Error(); p.scrub(text) != text {
		return errors.New(p.scrub(text))
	}
	return err
}

// maxFile bounds each file that is read, in bytes.
const maxFile = 64 << 10

// readFile reads a file that the user named. what begins the errors. Anything
// but a regular file is refused: reading a named pipe would wait for a writer.
func readFile(what, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %s is not a regular file", what, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s can't be opened: %w", what, err)
	}
	defer file.Close()
	content, err := httpx.ReadAll(file, maxFile)
	switch {
	case errors.As(err, new(*httpx.TooLongError)):
		return nil, fmt.Errorf("%s %s is longer than %d KiB", what, path, maxFile>>10)
	case err != nil:
		return nil, fmt.Errorf("%s can't be read: %w", what, err)
	}
	return content, nil
}
