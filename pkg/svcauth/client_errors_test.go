package svcauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAProblemArrivesAsTheServerMeantIt(t *testing.T) {
	want := NewProblem(CodeMissingPrivileges, "you lack clusters:edit;\nask an Administrator")
	want.Missing, want.RequestID = []string{"clusters:edit"}, "req-1"
	want.Errors = []ProblemField{{"body.role_ids[0]", "hands over clusters:edit"}}
	c, _ := answering(t, ClientConfig{}, problemAnswer(want, "Retry-After", "7"))
	_, err := c.Me(t.Context())
	var got *Problem
	require.ErrorAs(t, err, &got)
	want.Detail, want.RetryAfter = "you lack clusters:edit; ask an Administrator", 7*time.Second
	require.Equal(t, want, got)
}

func TestWhatIsNoProblemDocumentBecomesOne(t *testing.T) {
	const leak = "svcs_in_a_page"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		code   string
		detail string
	}{
		"a proxy's page": {says(502, "Content-Type", "text/html", leak), 502, CodeUnavailable,
			"GET /v1/me was answered with 502 Bad Gateway"},
		"no API here": {says(404, "Content-Type", "text/plain", leak), 404, CodeNotFound,
			"there is no svcauth API at"},
		"a redirect": {says(307, "Location", "https://elsewhere.example/"+leak), 307,
			CodeInternal, "redirect"},
		"JSON of something else": {says(403, "Content-Type", "application/json", `{"detail":"`+leak+`"}`), 403,
			CodeForbidden, "403 Forbidden"},
		"a problem that is broken": {says(400, "Content-Type", "application/problem+json", `{"detail":"`+leak), 400,
			CodeMalformed, "400 Bad Request"},
		"a problem too long": {says(422, "Content-Type", "application/problem+json",
			`{"detail":"`+strings.Repeat(leak, 1<<20)+`"}`), 422, CodeInvalid, "422 Unprocessable Entity"},
		"a teapot": {says(418), 418, CodeMalformed, "418"},
	} {
		t.Run(name, func(t *testing.T) {
			c, requests := answering(t, ClientConfig{MaxRetries: -1}, test.answer)
			_, err := c.Me(t.Context())
			var got *Problem
			require.ErrorAs(t, err, &got)
			require.Equal(t, test.status, got.Status)
			require.Equal(t, test.code, got.Code)
			require.Contains(t, got.Detail, test.detail)
			require.NotContains(t, got.Error()+got.Title, leak)
			require.Len(t, *requests, 1)
		})
	}
}

func TestAnAnswerOfAnotherShapeShowsNothingOfIt(t *testing.T) {
	c, _ := answering(t, ClientConfig{}, says(200, `{"id":7,"client_secret":"svcs_leak"}`),
		says(200, `{"id":"`+strings.Repeat("x", maxClientAnswer)+`"}`))
	_, err := c.ServiceAccount(t.Context(), "sa_1")
	require.ErrorContains(t, err, "not the JSON of this call")
	require.NotContains(t, err.Error(), "svcs_")
	_, err = c.ServiceAccount(t.Context(), "sa_1")
	require.ErrorIs(t, err, errAnswerTooLong)
}

func TestWhatIsSentAgain(t *testing.T) {
	unavailable := problemAnswer(NewProblem(CodeUnavailable, "away"))
	get := func(ctx context.Context, c *Client) error { _, err := c.Me(ctx); return err }
	put := func(ctx context.Context, c *Client) error {
		_, err := c.AssignMemberRole(ctx, "mem_1", "role_1", GrantRequest{})
		return err
	}
	post := func(ctx context.Context, c *Client) error {
		_, err := c.CreateRole(ctx, NewRole{Name: "r"})
		return err
	}
	patch := func(ctx context.Context, c *Client) error {
		_, err := c.UpdateRole(ctx, "role_1", 0, RolePatch{}, 0)
		return err
	}
	remove := func(ctx context.Context, c *Client) error { _, err := c.DeleteRole(ctx, "role_1", 0); return err }
	hangUp := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	gone := problemAnswer(NewProblem(CodeNotFound, "no such role"))
	for name, test := range map[string]struct {
		call     func(context.Context, *Client) error
		answers  []http.HandlerFunc
		requests int
		fails    bool
	}{
		"GET, 503": {get, []http.HandlerFunc{says(503), says(200, "{}")}, 2, false},
		"GET, 502": {get, []http.HandlerFunc{says(502), says(200, "{}")}, 2, false},
		"GET, 504": {get, []http.HandlerFunc{says(504), says(200, "{}")}, 2, false},
		"GET, 429": {get, []http.HandlerFunc{says(429, "Retry-After", "0"), says(200, "{}")},
			2, false},
		"GET, hung up": {get, []http.HandlerFunc{hangUp, says(200, "{}")}, 2, false},
		"GET, broken off": {get,
			[]http.HandlerFunc{says(200, "Content-Length", "10", "{"), says(200, "{}")}, 2, false},
		"GET, always 503":                 {get, []http.HandlerFunc{says(503)}, 3, true},
		"GET, 500":                        {get, []http.HandlerFunc{says(500)}, 1, true},
		"GET, 401":                        {get, []http.HandlerFunc{says(401)}, 1, true},
		"GET, a long Retry-After":         {get, []http.HandlerFunc{says(503, "Retry-After", "31")}, 1, true},
		"PUT, hung up":                    {put, []http.HandlerFunc{hangUp, says(204)}, 2, false},
		"DELETE, 503":                     {remove, []http.HandlerFunc{unavailable, says(204)}, 2, false},
		"DELETE, hung up, then not found": {remove, []http.HandlerFunc{hangUp, gone}, 2, false},
		"DELETE, 503, then not found":     {remove, []http.HandlerFunc{unavailable, gone}, 2, true},
		"POST, 429":                       {post, []http.HandlerFunc{says(429), says(201, "{}")}, 2, false},
		"POST, 503 of svcauth":            {post, []http.HandlerFunc{unavailable, says(201, "{}")}, 2, false},
		"POST, 503 of a proxy":            {post, []http.HandlerFunc{says(503), says(201, "{}")}, 1, true},
		"POST, 502":                       {post, []http.HandlerFunc{says(502), says(201, "{}")}, 1, true},
		"POST, hung up":                   {post, []http.HandlerFunc{hangUp, says(201, "{}")}, 1, true},
		"PATCH, 504":                      {patch, []http.HandlerFunc{says(504), says(200, "{}")}, 1, true},
		"PATCH, 429":                      {patch, []http.HandlerFunc{says(429), says(200, "{}")}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, requests := answering(t, ClientConfig{MaxRetries: 2}, test.answers...)
			err := test.call(t.Context(), c)
			require.Len(t, *requests, test.requests)
			require.Equal(t, test.fails, err != nil, "%v", err)
		})
	}
}

func TestAWaitIsNotShorterThanTheServerAsked(t *testing.T) {
	c, _ := answering(t, ClientConfig{}, says(429, "Retry-After", "1"), says(200, "{}"))
	began := time.Now()
	_, err := c.Me(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
}

func TestTheContextEndsAWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, requests := answering(t, ClientConfig{}, func(w http.ResponseWriter, r *http.Request) {
		says(503, "Retry-After", "20")(w, r)
		cancel()
	})
	_, err := c.Me(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, *requests, 1)
}

func TestAServerThatDoesNotAnswerInTime(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	c, err := NewClient(ClientConfig{URL: server.URL, HTTPClient: server.Client(), Timeout: 20 * time.Millisecond,
		MaxRetries: -1})
	require.NoError(t, err)
	_, err = c.ServiceAccounts(t.Context(), ListOptions{Name: "who-I-look-for"})
	require.ErrorContains(t, err, "GET /v1/service-accounts: no answer within 20ms")
	require.NotContains(t, err.Error(), "who-I-look-for")
}

// If there never was a connection, nothing was done, so that a POST may be sent
// again too.
func TestAServerThatIsNotYetThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	attempts := 0
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		attempts++
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	c, err := NewClient(ClientConfig{URL: "http://localhost",
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}}, MaxRetries: 1})
	require.NoError(t, err)
	_, err = c.CreateRole(t.Context(), NewRole{Name: "r"})
	require.Error(t, err)
	require.Equal(t, 2, attempts)
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// The transport that authenticates has tried again by its own rules before it
// gives up.
func TestAnErrorOfTheCallersTransportIsNotTriedAgain(t *testing.T) {
	noToken := errors.New("no token")
	began := time.Now()
	c, err := NewClient(ClientConfig{URL: "https://auth.example.com",
		HTTPClient: &http.Client{Transport: failing{errors.Join(noToken, io.EOF)}}, MaxRetries: 50})
	require.NoError(t, err)
	_, err = c.Me(t.Context())
	require.ErrorIs(t, err, noToken)
	require.Less(t, time.Since(began), 20*time.Second, "fifty back-offs last minutes")
}

func TestAllWalksOverEveryPage(t *testing.T) {
	c, requests := answering(t, ClientConfig{}, says(200, `{"items":[{"id":"a"},{"id":"b"}],"next_cursor":"1"}`),
		says(200, `{"items":[],"next_cursor":"2"}`), says(200, `{"items":[{"id":"c"}],"next_cursor":null}`))
	roles := func(ctx context.Context, o ListOptions) (List[Role], error) { return c.Roles(ctx, o) }
	var ids []string
	for role, err := range All(t.Context(), roles, ListOptions{}) {
		require.NoError(t, err)
		ids = append(ids, role.ID)
	}
	require.Equal(t, []string{"a", "b", "c"}, ids)
	require.Equal(t, []string{"limit=200", "cursor=1&limit=200", "cursor=2&limit=200"},
		[]string{(*requests)[0].query, (*requests)[1].query, (*requests)[2].query})

	c, requests = answering(t, ClientConfig{}, says(200, `{"items":[{"id":"a"}],"next_cursor":"same"}`))
	var last error
	for _, last = range All(t.Context(), roles, ListOptions{}) {
	}
	require.ErrorContains(t, last, "same cursor twice")
	require.Len(t, *requests, 2)

	c, requests = answering(t, ClientConfig{}, says(200, `{"items":[{"id":"a"},{"id":"b"}],"next_cursor":"1"}`),
		says(403))
	for range All(t.Context(), roles, ListOptions{}) {
		break
	}
	require.Len(t, *requests, 1)
	for _, last = range All(t.Context(), roles, ListOptions{}) {
	}
	require.ErrorContains(t, last, "403")
}

// TestAnAnswerOfManyValuesIsRefused says that an answer costs no hundred times
// its size.
func TestAnAnswerOfManyValuesIsRefused(t *testing.T) {
	c, _ := answering(t, ClientConfig{}, says(200, `{"items":[`+strings.Repeat(`{},`, maxClientAnswer/3-20)+`{}]}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.ServiceAccounts(t.Context(), ListOptions{})
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, errAnswerTooLong)
	t.Logf("%d MB", (after.TotalAlloc-before.TotalAlloc)>>20)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10*maxClientAnswer))
	require.Equal(t, 5, values([]byte(`{"a":["\",[{",{}],"b":1}`)))
}
