package console

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// functions are what the templates may call.
func (k *Console) functions() template.FuncMap {
	return template.FuncMap{
		"base":    func() string { return k.base },
		"asset":   func(name string) string { return k.static[name].address },
		"dict":    dict,
		"when":    when,
		"instant": instant,
		"ago":     func(t any) template.HTML { return ago(t, k.cfg.Clock()) },
		"until":   func(t any) template.HTML { return until(t, k.cfg.Clock()) },
		"past":    func(t any) bool { at, ok := moment(t); return ok && !at.After(k.cfg.Clock()) },
		"plural":  plural,
		"seconds": func(n int) string { return duration(time.Duration(n) * time.Second) },
		"ms":      func(n int64) string { return duration(time.Duration(n) * time.Millisecond) },
		"person":  personName,
		"pretty":  pretty,
		"words":   words,
		"parted":  parted,
		"whole":   whole,
		"join":    strings.Join,
		"issuer":  func() string { return k.cfg.Issuer },
		"presets": presetNames,

		"secretChoices":  secretChoices,
		"bindingChoices": bindingChoices,
		"bindingLabel":   bindingLabel,

		"bindingsSince":   func() string { return wire.BindingsSince },
		"resourceChoices": resourceChoices,
		"resourceLabel":   resourceLabel,
		"claimsHint":      claimsHint,
		"claimRows":       claimRows,

		"credentialName": svcauth.CredentialName,
		"credentialPath": svcauth.CredentialPath,
		"query":          url.QueryEscape,
	}
}

// dict makes the arguments of a part: name, value, name, value …
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments; expected pairs", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// moment accepts a time or a pointer to one. It returns false if there is none.
func moment(t any) (time.Time, bool) {
	switch t := t.(type) {
	case time.Time:
		return t.UTC(), !t.IsZero()
	case *time.Time:
		if t != nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

const exact = "2006-01-02 15:04:05 UTC"

// when shows a moment in UTC. The script converts it to the reader's time zone
// and leaves UTC in the title.
func when(t any) template.HTML {
	at, ok := moment(t)
	if !ok {
		return `<span class="none">never</span>`
	}
	return timeElement(at, "local", at.Format("2 Jan 2006, 15:04 UTC"))
}

// instant is like when, to the second and with the zone, for what is compared
// with other logs.
func instant(t time.Time) template.HTML {
	return timeElement(t.UTC(), "local instant", t.UTC().Format("2 Jan 2006, 15:04:05 UTC"))
}

// ago shows how long ago a moment was, exact in the title.
func ago(t any, now time.Time) template.HTML {
	at, ok := moment(t)
	if !ok {
		return `<span class="none">never</span>`
	}
	text := "just now"
	if d := now.Sub(at); d >= time.Minute {
		text = duration(d) + " ago"
	}
	return timeElement(at, "", text)
}

// until shows how long it is to a moment that lies ahead.
func until(t any, now time.Time) template.HTML {
	at, ok := moment(t)
	if !ok {
		return `<span class="none">never</span>`
	}
	if !at.After(now) {
		return timeElement(at, "", duration(now.Sub(at))+" ago")
	}
	return timeElement(at, "", "in "+duration(at.Sub(now)))
}

func timeElement(at time.Time, class, text string) template.HTML {
	if class != "" {
		class = ` class="` + class + `"`
	}
	text = template.HTMLEscapeString(text)
	element := fmt.Sprintf(`<time datetime="%s" title="%s"%s>%s</time>`,
		at.Format(time.RFC3339), at.Format(exact), class, text)
	return template.HTML(element) //nolint:gosec // all of it is made here
}

// duration returns a length of time in its largest unit.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return plural(int(d/time.Second), "second")
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}

// plural writes a number with its noun; the plural has an s unless it is given.
func plural(n any, one string, many ...string) string {
	count := reflect.ValueOf(n).Int()
	if count == 1 {
		return "1 " + one
	}
	if len(many) > 0 {
		one = many[0]
	} else {
		one += "s"
	}
	return grouped(count) + " " + one
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// personName returns the member's name or, if it has none, its address.
func personName(m svcauth.Member) string {
	if name := strings.TrimSpace(m.FirstName + " " + m.LastName); name != "" {
		return name
	}
	return m.Email
}

// pretty indents JSON for reading.
func pretty(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(raw)
	}
	return string(text)
}

// words turns service_account.create into "service account · create".
func words(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "_", " "), ".", " · ")
}

// parted lets a line break after each dot of service_account.create.
func parted(s string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(s), ".", ".<wbr>")) //nolint:gosec // escaped
}

// partedFrom is how long a text must be to have places to break: a shorter one
// has room.
const partedFrom = 28

var afterSigns = strings.NewReplacer("@", "@<wbr>", ".", ".<wbr>", "_", "_<wbr>", "/", "/<wbr>")

// whole writes an address or a name. If it is long, a line may break after its
// signs, rather than in the middle of a word.
func whole(s string) template.HTML {
	text := template.HTMLEscapeString(s)
	if len(s) > partedFrom {
		text = afterSigns.Replace(text)
	}
	return template.HTML(text) //nolint:gosec // escaped
}

// newOnce makes the token of a form that works once: 130 random bits.
func newOnce() string { return rand.Text() }
