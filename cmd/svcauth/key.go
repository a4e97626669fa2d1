package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/jwk"
)

// keyAlgorithms are what a client's key may be made for, the default first.
var keyAlgorithms = []string{"ES256", "ES384", "ES512", "EdDSA", "RS256"}

func keyCommand() *cobra.Command {
	return noun("key", "Make key pairs for clients that authenticate without a secret", nil, createKeyPair())
}

func createKeyPair() *cobra.Command {
	var algorithm string
	c := &cobra.Command{
		Use:   "create FILE",
		Short: "Make a key pair: writes the private key into FILE, and prints the public one",
		Long: `Make a key pair: writes the private key into FILE, and prints the public one.

FILE must not exist yet. It is PEM (PKCS #8) with mode 0600. The private key
never leaves this machine: register what is printed, a JWK, for the service
account, and name FILE by SVCAUTH_PRIVATE_KEY_FILE. No server is asked.`,
		Args:    argumentsOf("create FILE"),
		Example: indented([]string{"svcauth key create client.key", "svcauth key create client.key --algorithm RS256"}),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := newClientKey(algorithm)
			if err != nil {
				return err
			}
			public, err := writeClientKey(args[0], key)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", public)
			return err
		},
	}
	c.Flags().StringVar(&algorithm, "algorithm", keyAlgorithms[0],
		"what it shall sign with: "+strings.Join(keyAlgorithms, ", "))
	_ = c.RegisterFlagCompletionFunc("algorithm",
		cobra.FixedCompletions(keyAlgorithms, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func newClientKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, wrongUsage("--algorithm %s: expected one of %s", clean(algorithm), strings.Join(keyAlgorithms, ", "))
}

// writeClientKey writes the private key into a new file, and returns the public
// one as a JWK (RFC 7517), whose kid is its thumbprint (RFC 7638).
func writeClientKey(path string, key crypto.Signer) (public []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	described, err := jwk.ForClient(key.Public())
	if err != nil {
		return nil, err
	}
	if public, err = json.Marshal(described); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already, and no key is overwritten; name another file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the key's file can't be made: %w", err)
	}
	err = errors.Join(pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), file.Sync(), file.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the key can't be written: %w", err), os.Remove(path))
	}
	return public, nil
}
