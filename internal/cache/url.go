package cache

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

type topology int

const (
	single topology = iota
	sentinel
	cluster
)

// target is a parsed URL.
type target struct {
	topology       topology
	tls            *tls.Config // nil: none
	user, password string
	addrs          []string
	db             int
	master         string
	sentinelAuth   bool
}

// CheckURL returns the error with which [New] would refuse a URL, or nil. A URL
// is empty or one of
//
//	redis://HOST:6379/0                              one server and its database (0 if absent)
//	redis+sentinel://HOST:26379,HOST2:26379/MASTER   the master that Sentinel has under that name
//	redis+cluster://HOST:6379,HOST2:6379             some nodes of a Redis Cluster
//
// or the same with rediss for TLS. USER:PASSWORD@ may stand before the hosts,
// percent-encoded; Sentinels are sent it only if the URL ends with
// ?sentinel_auth=true. An error never quotes the URL, which may hold a
// password.
func CheckURL(raw string) error {
	if raw == "" {
		return nil
	}
	_, err := parseURL(raw)
	return err
}

// parseURL reads by hand, because net/url takes no list of hosts.
func parseURL(raw string) (target, error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	var t target
	port := "6379"
	switch base, kind, _ := strings.Cut(scheme, "+"); {
	case base != "redis" && base != "rediss",
		kind != "" && kind != "sentinel" && kind != "cluster",
		strings.HasSuffix(scheme, "+"):
		return t, errors.New("scheme is not known; " +
			"expected redis://, redis+sentinel:// or redis+cluster://, or rediss for TLS")
	case kind == "sentinel":
		t.topology, port = sentinel, "26379"
	case kind == "cluster":
		t.topology = cluster
	}
	if strings.HasPrefix(scheme, "rediss") {
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if err := t.credentials(&authority); err != nil {
		return t, err
	}
	for host := range strings.SplitSeq(authority, ",") {
		addr, err := hostPort(host, port)
		if err != nil {
			return t, err
		}
		t.addrs = append(t.addrs, addr)
	}
	if t.topology == single && len(t.addrs) > 1 {
		return t, errors.New("more than one host; write redis+sentinel:// or redis+cluster:// for these")
	}
	if err := t.setPath(path); err != nil {
		return t, err
	}
	return t, t.setQuery(query)
}

func (t *target) credentials(authority *string) error {
	at := strings.LastIndexByte(*authority, '@')
	if at < 0 {
		return nil
	}
	user, password, _ := strings.Cut((*authority)[:at], ":")
	*authority = (*authority)[at+1:]
	var err1, err2 error
	t.user, err1 = url.PathUnescape(user)
	t.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("user or password is not percent-encoded correctly; write % as %25")
	}
	if t.user != "" && t.password == "" {
		return errors.New("a user without a password; expected USER:PASSWORD@ or :PASSWORD@")
	}
	return nil
}

func hostPort(host, port string) (string, error) {
	parsed, err := url.Parse("tcp://" + host)
	if err != nil || parsed.Hostname() == "" || parsed.Host != host {
		return "", errors.New("a host is missing or can't be read; " +
			"expected HOST:PORT, and / ? # @ in a password as %2F %3F %23 %40")
	}
	if own := parsed.Port(); own != "" {
		port = own
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("a port is not a number from 1 to 65535")
	}
	return net.JoinHostPort(parsed.Hostname(), port), nil
}

func (t *target) setPath(path string) error {
	switch {
	case t.topology == sentinel:
		name, err := url.PathUnescape(path)
		if err != nil || name == "" || strings.ContainsAny(name, "/#") {
			return errors.New("no name of a master; expected redis+sentinel://HOST:26379/MASTER")
		}
		t.master = name
	case path == "":
	case t.topology == cluster:
		return errors.New("a Redis Cluster has no databases; expected nothing after the hosts")
	default:
		db, err := strconv.ParseUint(path, 10, 16)
		if err != nil {
			return errors.New("the database is not a number; expected redis://HOST:6379/0")
		}
		t.db = int(db)
	}
	return nil
}

func (t *target) setQuery(query string) error {
	switch {
	case query == "" || query == "sentinel_auth=false":
	case query == "sentinel_auth=true" && t.topology == sentinel:
		t.sentinelAuth = true
	default:
		return errors.New("nothing may follow ?, save sentinel_auth=true with redis+sentinel://")
	}
	return nil
}
