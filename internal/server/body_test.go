package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// withheld sends a request's header and the beginning of its body, and returns
// the answer. It fails if the server waits for the rest, and, if the answer
// ends the connection, if that stays open.
func withheld(t *testing.T, s *svctest.Server, head, body string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, head+"\r\nHost: x\r\n\r\n"+body)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err, "it waits for %s", head)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.Close {
		_, err = in.ReadByte()
		require.ErrorIs(t, err, io.EOF, "the connection ends, and nothing else comes")
	}
	return resp, string(raw)
}

// A body that a route does not take is refused by its length, before any of it
// is read. These callers never send the end of theirs.
func TestBodiesAreBoundedBeforeTheyAreRead(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	admin := "Authorization: Bearer " +
		s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
	const form, text = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	for name, test := range map[string]struct {
		head   []string
		status int
	}{
		"an unknown path":          {[]string{"POST /nothing HTTP/1.1", "Content-Length: 100"}, 404},
		"an unknown path, chunked": {[]string{"POST /nothing HTTP/1.1", "Transfer-Encoding: chunked"}, 404},
		"an unknown page":          {[]string{"POST /console/nothing HTTP/1.1", "Content-Length: 100"}, 404},
		"an unknown call":          {[]string{"POST /v1/nothing HTTP/1.1", "Content-Length: 100"}, 404},
		"another method":           {[]string{"PUT /oauth2/token HTTP/1.1", form, "Content-Length: 100"}, 405},
		"GET":                      {[]string{"GET /.well-known/jwks.json HTTP/1.1", "Content-Length: 100"}, 200},
		"a probe":                  {[]string{"GET /healthz HTTP/1.1", "Transfer-Encoding: chunked"}, 200},
		"GET of a call":            {[]string{"GET /v1/roles HTTP/1.1", admin, "Content-Length: 100"}, 422},
		"a token":                  {[]string{"POST /oauth2/token HTTP/1.1", form, "Content-Length: 16385"}, 413},
		"a token, at the old path": {[]string{"POST /api/1.0/token HTTP/1.1", form, "Content-Length: 16385"},
			413},
		"revocation": {[]string{"POST /oauth2/revoke HTTP/1.1", form, "Content-Length: 16385"},
			413},
		"a call": {[]string{"POST /v1/roles HTTP/1.1", admin, text, "Content-Length: 65537"},
			413},
		"a large call of nobody": {[]string{"POST /v1/roles HTTP/1.1", text, "Content-Length: 17000"}, 401},
		"a large call of nobody known": {[]string{"POST /v1/roles HTTP/1.1", "Authorization: Bearer x", text,
			"Content-Length: 17000"}, 401},
		"a large form of nobody": {[]string{"POST /console/sign-in HTTP/1.1", form, "Content-Length: 17000"},
			413},
		"more header fields than a few": {append([]string{"POST /oauth2/token HTTP/1.1", form, "Content-Length: 100"},
			slices.Repeat([]string{"A: b"}, 100)...), 431},
		"more header fields, management": {append([]string{"POST /v1/roles HTTP/1.1", text, "Content-Length: 100"},
			slices.Repeat([]string{"A: b"}, 100)...), 400},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := withheld(t, s, strings.Join(test.head, "\r\n"), "")
			require.Equal(t, test.status, resp.StatusCode, body)
			require.True(t, resp.Close)
		})
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 17000, strings.Repeat("a", 17000)) // and no last one
	resp, body := withheld(t, s, "POST /oauth2/token HTTP/1.1\r\n"+form+"\r\nTransfer-Encoding: chunked", chunk)
	require.Equal(t, 413, resp.StatusCode, body)
	require.True(t, resp.Close)
}

// Bodies of authenticated callers arrive whole up to the route's limit, however
// they come.
func TestLargeBodiesOfTheAuthenticated(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	admin := s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
	body := `{"name":"large"` + strings.Repeat(" ", 40_000) + `,"privileges":[]}`
	for name, reader := range map[string]io.Reader{"by length": strings.NewReader(body),
		"chunked": io.MultiReader(strings.NewReader(body[:30_000]), strings.NewReader(body[30_000:]))} {
		req, err := http.NewRequest(http.MethodPost, s.URL+"/v1/roles", reader)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+admin)
		a := s.Do(req)
		require.Contains(t, []int{201, 409}, a.Status, "%s: %s", name, a.Text)
	}
}
