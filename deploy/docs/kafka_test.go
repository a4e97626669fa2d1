package docs_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// broker is as much of a Kafka broker as a client needs to sign in by
// SASL/OAUTHBEARER and to list topics, of which there are none.
type broker struct {
	listener net.Listener

	mu      sync.Mutex
	clients map[string]bool // that have signed in
}

func newBroker(t *testing.T) *broker {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &broker{listener: listener, clients: map[string]bool{}}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = b.serve(conn)
			}()
		}
	}()
	return b
}

// signedIn reports whether a client has shown a token of its own.
func (b *broker) signedIn(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clients[id]
}

// The requests of Kafka's protocol that are answered.
const (
	metadata         = 3
	saslHandshake    = 17
	apiVersions      = 18
	saslAuthenticate = 36
)

// serve answers until the client goes.
func (b *broker) serve(conn net.Conn) error {
	for {
		request, err := readFrame(conn)
		if err != nil {
			return err
		}
		if len(request) < 8 {
			return errors.New("no request")
		}
		key, version := binary.BigEndian.Uint16(request), binary.BigEndian.Uint16(request[2:])
		answer := append([]byte(nil), request[4:8]...) // the correlation ID
		number16 := func(n int) { answer = binary.BigEndian.AppendUint16(answer, uint16(n)) }
		number32 := func(n int) { answer = binary.BigEndian.AppendUint32(answer, uint32(n)) }
		text := func(s string) { number16(len(s)); answer = append(answer, s...) }
		switch key {
		case apiVersions:
			number16(map[bool]int{true: 0, false: 35}[version == 0]) // 35: ask in version 0
			number32(4)
			for _, known := range []int{metadata, saslHandshake, apiVersions, saslAuthenticate} {
				number16(known)
				// from version 0 to 0, or to 1, which is the same
				number32(map[bool]int{true: 1, false: 0}[known == saslHandshake])
			}
		case saslHandshake:
			number16(0)
			number32(1)
			text("OAUTHBEARER")
		case saslAuthenticate: // RFC 7628 §3.1
			_, after, found := strings.Cut(string(request), "\x01auth=Bearer ")
			if !found {
				return errors.New("no token")
			}
			token, _, _ := strings.Cut(after, "\x01")
			b.mu.Lock()
			b.clients[subject(token)] = true
			b.mu.Unlock()
			number16(0)
			text("")
			number32(0)
		case metadata:
			address := b.listener.Addr().(*net.TCPAddr)
			number32(1)
			number32(1)
			text(address.IP.String())
			number32(address.Port)
			number32(0)
		default:
			return fmt.Errorf("request %d is not known", key)
		}
		if err := writeFrame(conn, answer); err != nil {
			return err
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 1<<20 {
		return nil, errors.New("too long")
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

func writeFrame(w io.Writer, frame []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	return err
}
