package remotekeys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/untrusted"
)

const (
	maxBody = 64 << 10 // bytes of a key set, or of an issuer's metadata
	maxKeys = 20
)

// For how long fetched keys are used without asking again, whatever the answer
// says (RFC 9111 §4.2.1: max-age).
const (
	minFresh = 5 * time.Minute
	maxFresh = 24 * time.Hour
)

// fetched is a key set as it came.
type fetched struct {
	keys  []jwk.Verifier
	fresh time.Duration
}

// fetch gets the key set of a source, by the issuer's metadata if the source
// names no address. ctx bounds all of it.
func (k *Keys) fetch(ctx context.Context, s Source) (fetched, error) {
	address := s.URL
	if address == "" {
		endpoints, err := httpx.DiscoverOpenID(s.Issuer, func(address string) ([]byte, int, error) {
			a, status, err := k.get(ctx, address)
			return a.body, status, err
		}, "jwks_uri")
		if err != nil {
			return fetched{}, err
		}
		address = endpoints["jwks_uri"]
	}
	if err := httpx.CheckEndpoint(s.Issuer, address); err != nil {
		return fetched{}, fmt.Errorf("the address of the key set %w", err)
	}
	a, _, err := k.get(ctx, address)
	if err != nil {
		return fetched{}, err
	}
	keys, err := jwk.ParseVerifiers(a.body, maxKeys)
	return fetched{keys, a.fresh}, err
}

// answer is what an address said.
type answer struct {
	body  []byte
	fresh time.Duration
}

// get makes one call. Errors name no address: what is behind it is not the
// tenant's to explore.
func (k *Keys) get(ctx context.Context, address string) (answer, int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, 0, errors.New("the address is malformed")
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json")
	request.Header.Set("User-Agent", "svcauth")
	response, err := k.client.Do(request)
	if err != nil {
		return answer{}, 0, plain(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answer{}, response.StatusCode, fmt.Errorf("the answer has status %d; expected 200, without a redirect",
			response.StatusCode)
	}
	body, err := httpx.ReadAll(response.Body, maxBody)
	if err != nil {
		return answer{}, response.StatusCode, plain(err)
	}
	return answer{body, freshness(response.Header.Get("Cache-Control"))}, response.StatusCode, nil
}

// freshness returns for how long an answer is used: its max-age within our
// bounds.
func freshness(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		seconds, err := strconv.Atoi(strings.Trim(value, `"`))
		if err == nil && seconds >= 0 {
			return min(max(time.Duration(min(seconds, int(maxFresh/time.Second)))*time.Second, minFresh), maxFresh)
		}
	}
	return minFresh
}

// plain returns what failed, as one line of bounded length.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || timedOut(err) {
		return fmt.Errorf("there was no whole answer within %s", timespan.Text(fetchTimeout))
	}
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err // without the address
	}
	var connection *net.OpError
	if errors.As(err, &connection) {
		err = connection.Err // without those of both ends
	}
	return errors.New(untrusted.Cut(untrusted.Line(err.Error()), maxError))
}

const maxError = 300 // bytes

func timedOut(err error) bool {
	var slow interface{ Timeout() bool }
	return errors.As(err, &slow) && slow.Timeout()
}
