// Command golang-jwt is an API that takes svcauth's tokens with golang-jwt
// alone.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are the ones that this API looks at.
type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
}

// keySet is the issuer's JWKS. It is fetched every five minutes, and for an
// unknown kid at most every 30 s, so that nobody makes us fetch by inventing
// some.
type keySet struct {
	url     string
	client  http.Client
	mu      sync.Mutex
	keys    map[string]*ecdsa.PublicKey
	fetched time.Time
}

func (s *keySet) find(t *jwt.Token) (any, error) {
	if t.Header["typ"] != "at+jwt" || t.Header["crit"] != nil {
		return nil, errors.New("no access token")
	}
	kid, _ := t.Header["kid"].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	age := time.Since(s.fetched)
	if age > 5*time.Minute || s.keys[kid] == nil && age > 30*time.Second {
		s.fetched = time.Now()
		if keys, err := s.fetch(); err == nil { // else the last good ones
			s.keys = keys
		} else {
			log.Print(err)
		}
	}
	if key := s.keys[kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("unknown key")
}

func (s *keySet) fetch() (map[string]*ecdsa.PublicKey, error) {
	resp, err := s.client.Get(s.url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X, Y string }
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&set)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("JWKS: status %d, %w", resp.StatusCode, err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range set.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		if k.Kty != "EC" || k.Crv != "P-256" || errX != nil || errY != nil {
			continue
		}
		if key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)); err == nil {
			keys[k.Kid] = key
		}
	}
	return keys, nil
}

func main() {
	issuer := os.Getenv("ISSUER") // https://auth.example.com
	keys := &keySet{url: issuer + "/.well-known/jwks.json", client: http.Client{Timeout: 10 * time.Second}}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(issuer), jwt.WithAudience(os.Getenv("AUDIENCE")),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(30*time.Second))

	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var c claims
		if _, err := parser.ParseWithClaims(token, &c, keys.find); !ok || err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "invalid_token", http.StatusUnauthorized)
			return
		}
		if !slices.Contains(strings.Fields(c.Scope), "clusters:view") {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="clusters:view"`)
			http.Error(w, "insufficient_scope", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintln(w, "hello", c.Subject)
	})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}
