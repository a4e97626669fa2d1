package httpx

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 8414 §3.1: a path of the issuer comes after the well-known part; OpenID
// Connect Discovery 1.0 §4: before it.
func TestWhereMetadataLies(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://a.example": {"https://a.example/.well-known/oauth-authorization-server",
			"https://a.example/.well-known/openid-configuration"},
		"https://a.example/": {"https://a.example/.well-known/oauth-authorization-server",
			"https://a.example/.well-known/openid-configuration"},
		"https://a.example:8443/t1": {"https://a.example:8443/.well-known/oauth-authorization-server/t1",
			"https://a.example:8443/t1/.well-known/openid-configuration"},
		"https://a.example/a%2Fb/c": {"https://a.example/.well-known/oauth-authorization-server/a%2Fb/c",
			"https://a.example/a%2Fb/c/.well-known/openid-configuration"},
	} {
		require.Equal(t, want, wellKnown(issuer))
	}
}

func TestDiscover(t *testing.T) {
	const issuer = "https://a.example/t"
	first, second := wellKnown(issuer)[0], wellKnown(issuer)[1]
	good := `{"issuer":"https://a.example/t","token_endpoint":"https://a.example/token?x=y","jwks_uri":"https://keys.example/jwks"}`
	type answer struct {
		body   string
		status int // beside an error; 0: there was no answer
		err    error
	}
	away := errors.New("away")
	for name, c := range map[string]struct {
		first, second answer
		asked         int
		want          map[string]string
		fault         string
		at            string // the address of a MetadataError
	}{
		"at the first": {first: answer{body: good}, asked: 1,
			want: map[string]string{"token_endpoint": "https://a.example/token?x=y",
				"jwks_uri": "https://keys.example/jwks"}},
		"at the second": {first: answer{status: 404, err: away}, second: answer{body: good}, asked: 2,
			want: map[string]string{"token_endpoint": "https://a.example/token?x=y",
				"jwks_uri": "https://keys.example/jwks"}},
		"behind a dead root": {first: answer{status: 502, err: away}, second: answer{body: good}, asked: 2,
			want: map[string]string{"token_endpoint": "https://a.example/token?x=y",
				"jwks_uri": "https://keys.example/jwks"}},
		"behind a page": {first: answer{body: "<html>"}, second: answer{body: good}, asked: 2,
			want: map[string]string{"token_endpoint": "https://a.example/token?x=y",
				"jwks_uri": "https://keys.example/jwks"}},
		"optional": {first: answer{body: `{"issuer":"https://a.example/t","token_endpoint":"https://a.example/token","jwks_uri":""}`}, asked: 1, want: map[string]string{"token_endpoint": "https://a.example/token"}},
		"nowhere": {first: answer{status: 404, err: away},
			second: answer{status: 405, err: errors.New("second")}, asked: 2, fault: "away"},
		"two pages": {first: answer{body: "<html>"}, second: answer{body: "[]"}, asked: 2,
			fault: "not the JSON of OAuth2 metadata", at: first},
		"no answer":   {first: answer{err: away}, asked: 1, fault: "away"},
		"too often":   {first: answer{status: 429, err: away}, asked: 1, fault: "away"},
		"unavailable": {first: answer{status: 503, err: away}, asked: 1, fault: "away"},
		"another's":   {first: answer{body: `{"issuer":"https://a.example/t/","token_endpoint":"https://a.example/token"}`}, asked: 1, fault: "must be the same, to the letter", at: first},
		"another's, second": {first: answer{status: 404, err: away},
			second: answer{body: `{"issuer":"https://a.example"}`}, asked: 2, fault: "must be the same, to the letter",
			at: second},
		"nobody's": {first: answer{body: `{"token_endpoint":"https://a.example/token"}`}, asked: 1,
			fault: `of issuer ""`, at: first},
		"in other letters":  {first: answer{body: `{"ISSUER":"https://a.example/t","token_endpoint":"https://a.example/token"}`}, asked: 1, fault: `of issuer ""`, at: first},
		"null":              {first: answer{body: "null"}, asked: 1, fault: `of issuer ""`, at: first},
		"without the first": {first: answer{body: `{"issuer":"https://a.example/t","jwks_uri":"https://a.example/jwks"}`}, asked: 1, fault: "names no token_endpoint", at: first},
		"a number": {first: answer{body: `{"issuer":"https://a.example/t","token_endpoint":7}`}, asked: 1,
			fault: "names no token_endpoint", at: first},
		"in clear":           {first: answer{body: `{"issuer":"https://a.example/t","token_endpoint":"http://localhost/token"}`}, asked: 1, fault: "the token_endpoint in the metadata begins with http://", at: first},
		"in clear, optional": {first: answer{body: `{"issuer":"https://a.example/t","token_endpoint":"https://a.example/token","jwks_uri":"http://a.example/jwks"}`}, asked: 1, fault: "the jwks_uri in the metadata", at: first},
		"hostile": {first: answer{body: `{"issuer":"\u001b[2J\u202e"}`}, asked: 1,
			fault: `\x1b[2J\u202e`, at: first},
	} {
		asked := 0
		got, err := Discover(issuer, func(address string) ([]byte, int, error) {
			asked++
			a := map[string]answer{first: c.first, second: c.second}[address]
			return []byte(a.body), a.status, a.err
		}, "token_endpoint", "jwks_uri")
		require.Equal(t, c.asked, asked, name)
		require.Equal(t, c.want, got, name)
		if c.fault == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.fault, name)
		var unusable *MetadataError
		require.Equal(t, c.at != "", errors.As(err, &unusable), name)
		if unusable != nil {
			require.Equal(t, c.at, unusable.Address, name)
			require.NotContains(t, err.Error(), "\x1b", name)
		}
	}
}
