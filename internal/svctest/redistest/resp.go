package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// answersWithin is a net for a server that hangs. A process may not run for
// seconds on a loaded machine.
const answersWithin = time.Minute

// Do runs one command on database 0, on a connection of its own. Of a list, it
// returns the elements as lines, and an empty text for null.
func (s *Server) Do(args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), answersWithin)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answersWithin))
	in := bufio.NewReader(conn)
	if s.password != "" {
		if _, err := ask(conn, in, "AUTH", s.password); err != nil {
			return "", err
		}
	}
	return ask(conn, in, args...)
}

func ask(conn io.Writer, in *bufio.Reader, args ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	return readAnswer(in)
}

// readAnswer reads one value of RESP2.
func readAnswer(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("empty line from Redis")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return "", err
	}
	if kind == '$' {
		text := make([]byte, n+2)
		_, err := io.ReadFull(in, text)
		return string(text[:n]), err
	}
	elements := make([]string, n)
	for i := range elements {
		if elements[i], err = readAnswer(in); err != nil {
			return "", err
		}
	}
	return strings.Join(elements, "\n"), nil
}
