package tokensource

import (
	"context"
	"fmt"
	"time"
)

// certificate is mutual TLS (RFC 8705 §2). The client's id is a parameter; the
// proof is the connection's.
type certificate struct {
	client, certFile, keyFile string
	now                       func() time.Time
}

func newCertificate(c Config) method {
	return &certificate{client: c.ClientID, certFile: c.CertFile, keyFile: c.KeyFile, now: c.Clock}
}

func (c *certificate) check() error {
	_, err := readPair(c.certFile, c.keyFile)
	return err
}

// prove reads the files, so that an error is of them and not of a handshake.
func (c *certificate) prove(context.Context, *Source) (proof, error) {
	shown, err := readPair(c.certFile, c.keyFile)
	if err != nil {
		return proof{}, err
	}
	leaf := shown.Leaf
	if c.now().After(leaf.NotAfter.Add(clockSkew)) {
		return proof{}, fmt.Errorf("the certificate file %s has expired at %s; renew it",
			c.certFile, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return proof{
		form:  map[string]string{"client_id": c.client}, // required: RFC 8705 §2
		shown: shown,
		advice: fmt.Errorf("the certificate of %s (subject %q, until %s) was offered; check that it is registered for "+
			"client %s, and that the address is one that asks for certificates", c.certFile,
			leaf.Subject.String(), leaf.NotAfter.UTC().Format(time.RFC3339), c.client),
	}, nil
}
