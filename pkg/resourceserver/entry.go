package resourceserver

import "github.com/svcauth/svcauth/pkg/svcauth"

// plain reads entries in the form in which svcauth writes them: objects of
// known members without white space, whose values are integers and printable
// ASCII without escapes. What has another form it does not read, and is left to
// encoding/json, which takes eight times as long. What it reads, that would
// read the same way.
type plain struct {
	data []byte
	at   int
}

// plainEntry reads one entry.
func plainEntry(data []byte) (e svcauth.Revocation, ok bool) {
	p := plain{data: data}
	if p.entry(&e) && p.at == len(data) {
		return e, true
	}
	return svcauth.Revocation{}, false
}

// plainEntries reads an array of at most maxPageEntries.
func plainEntries(data []byte) (all entries, ok bool) {
	p := plain{data: data}
	for open := byte('['); ; open = ',' {
		if !p.take(open) {
			return all, len(all) > 0 && p.take(']') && p.at == len(data)
		}
		if len(all) == maxPageEntries {
			return nil, false
		}
		all = append(all, svcauth.Revocation{})
		if !p.entry(&all[len(all)-1]) {
			return nil, false
		}
	}
}

func (p *plain) take(c byte) bool {
	if p.at == len(p.data) || p.data[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *plain) entry(e *svcauth.Revocation) bool {
	if !p.take('{') || !p.member(e) {
		return false
	}
	for p.take(',') {
		if !p.member(e) {
			return false
		}
	}
	return p.take('}')
}

func (p *plain) member(e *svcauth.Revocation) bool {
	name, ok := p.text()
	if !ok || !p.take(':') {
		return false
	}
	text, number := field(e, name)
	switch {
	case text != nil:
		var value []byte
		value, ok = p.text()
		*text = string(value)
	case number != nil:
		*number, ok = p.integer()
	}
	return ok && (text != nil || number != nil)
}

// field returns where an entry has the value of a member. Both are nil if it is
// not known.
func field(e *svcauth.Revocation, name []byte) (text *string, number *int64) {
	switch string(name) {
	case "jti":
		return &e.JTI, nil
	case "client_id":
		return &e.ClientID, nil
	case "min_epoch":
		return nil, &e.MinEpoch
	case "cred":
		return &e.Cred, nil
	case "org_id":
		return &e.OrgID, nil
	case "role":
		return &e.Role, nil
	case "privilege":
		return &e.Privilege, nil
	case "min_pol":
		return nil, &e.MinPol
	case "unless_bound":
		return &e.UnlessBound, nil
	case "epoch":
		return nil, &e.Epoch
	case "pol":
		return nil, &e.Pol
	case "exp":
		return nil, &e.Exp
	}
	return nil, nil
}

func (p *plain) text() (value []byte, ok bool) {
	if !p.take('"') {
		return nil, false
	}
	for from := p.at; p.at < len(p.data); p.at++ {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return p.data[from : p.at-1], true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// maxDigits is how many digits an integer may have that is surely no overflow.
const maxDigits = 18

func (p *plain) integer() (n int64, ok bool) {
	from := p.at
	for p.at < len(p.data) && p.data[p.at] >= '0' && p.data[p.at] <= '9' && p.at-from <= maxDigits {
		n = 10*n + int64(p.data[p.at]-'0')
		p.at++
	}
	size := p.at - from
	return n, size > 0 && size <= maxDigits && (size == 1 || p.data[from] != '0')
}
