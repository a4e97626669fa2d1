package tokensource

import (
	"net/http"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NewClient returns a client of the management API of an svcauth server, and
// the Source of its tokens, which the caller closes. The tokens are for
// config.Issuer alone, whatever config.Resource says: they stay small, and no
// other API can use one. They carry all that the client may do there, unless
// Scopes are set. UserAgent and MaxRetries hold for both. It sends nothing.
// The errors are those of [New] and of [svcauth.NewClient].
func NewClient(config Config) (*svcauth.Client, *Source, error) {
	config.Resource = []string{config.Issuer}
	tokens, err := New(config)
	if err != nil {
		return nil, nil, err
	}
	client, err := svcauth.NewClient(svcauth.ClientConfig{
		URL:        config.Issuer,
		HTTPClient: &http.Client{Transport: tokens.Transport(nil)},
		UserAgent:  config.UserAgent,
		MaxRetries: config.MaxRetries,
	})
	if err != nil {
		_ = tokens.Close()
		return nil, nil, err
	}
	return client, tokens, nil
}
