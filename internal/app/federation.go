package app

import (
	"crypto/x509"
	"fmt"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/remotekeys"
)

// newFederation builds what checks the tokens of other issuers, with the keys
// that are fetched for that.
func (a *App) newFederation() (federation.Verifier, error) {
	roots, err := federationRoots(a.cfg.Federation)
	if err != nil {
		return federation.Verifier{}, err
	}
	return federation.Verifier{Keys: remotekeys.New(remotekeys.Config{
		AllowedNetworks: a.cfg.Federation.AllowedNetworks, Roots: roots, Clock: a.clock, Logger: a.logger,
	})}, nil
}

// federatedMethods are the ways to authenticate by a token of another issuer.
func (a *App) federatedMethods(
	privateKey *clientauth.PrivateKey, signatures *clientauth.Signatures,
) []clientauth.Method {
	return clientauth.Federated(clientauth.FederatedConfig{
		Issuer: a.cfg.Issuer, Verifier: a.federation, Store: a.store, Uses: a.uses, PrivateKey: privateKey,
		Signatures: signatures, Clock: a.clock,
	})
}

// federationRoots returns the authorities that vouch for other issuers: the
// system's and those of the file. GitHub and a cluster of one's own are often
// both among them. It returns nil, which means the system's, if there is no
// file.
func federationRoots(c config.Federation) (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	pem, err := readFile(c.CAFile)
	if err != nil {
		return nil, ofKey("federation.ca_file", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, ofKey("federation.ca_file", fmt.Errorf("%s holds no certificate in PEM", c.CAFile))
	}
	return pool, nil
}
