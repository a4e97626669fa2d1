package drill_test

import (
	"fmt"
	"strings"
	"testing"
)

// fromMany are addresses of strangers; each may have its share of connections.
func fromMany() (from []string) {
	for i := range 8 {
		from = append(from, fmt.Sprint("127.0.1.", i+1))
	}
	return from
}

// crowd is 9,000 connections that begin something and stay.
func (p *pressed) crowd(begin string) press {
	return func() func() string {
		c := call(p.t, last, job{Kind: "hold", Addr: p.node.addr, From: fromMany(), Count: 9000, Begin: begin,
			Mayfail: true})
		return func() string { c.hangUp(); return "" }
	}
}

// A node with the limits that it is shipped with and the memory that the chart
// gives it serves right clients while 9,000 connections withhold the end of
// what they began.
func TestStrangersWithholdWhatTheyBegan(t *testing.T) {
	needFull(t)
	p := newPressed(t, 460)
	post := func(path string, length, sent int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
			"Content-Length: %d\r\n\r\n", path, length) + strings.Repeat("a", sent)
	}
	p.measure("an unknown path, 128 KiB", p.crowd(post("/nothing", 128<<10, 128<<10-100)))
	p.measure("a token, 16 KiB", p.crowd(post("/oauth2/token", 16<<10, 16<<10-100)))
	p.measure("a token, 400 bytes", p.crowd(post("/oauth2/token", 400, 300)))
	p.measure("a header of many lines", p.crowd("GET / HTTP/1.1\r\n"+manyLines(3000)))
	p.measure("nothing", p.crowd(""))
}

// manyLines are header lines with names of their own, as short as they may be.
func manyLines(count int) string {
	var b strings.Builder
	for i := range count {
		b.WriteString(strings.ToUpper(fmt.Sprintf("%x", i)) + "g:\r\n")
	}
	return b.String()
}
