package resourceserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/svcauth/svcauth/internal/verify"
)

const maxIntrospection = 256 << 10 // bytes; enough for the claims of the longest token

// introspect asks the issuer whether a token is active (RFC 7662).
func (v *Verifier) introspect(ctx context.Context, token string) *Error {
	meta, err := v.disc.get(ctx, false)
	if err == nil && meta.Introspection == "" {
		err = errors.New("the issuer's metadata names no introspection_endpoint")
	}
	var answer struct {
		Active bool `json:"active"`
	}
	if err == nil {
		err = v.feed.call(
			ctx,
			http.MethodPost,
			meta.Introspection,
			url.Values{"token": {token}},
			maxIntrospection,
			&answer,
		)
	}
	if err != nil {
		return unavailable(
			"revocations could not be followed for too long, and the issuer does not answer; ask again later",
			err,
		)
	}
	if !answer.Active {
		return (*Error)(verify.Revoked())
	}
	return nil
}
