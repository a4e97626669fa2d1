package possession

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/jws"
)

// Maker makes proofs with one key. It is safe for concurrent use.
type Maker struct {
	key             crypto.Signer
	alg, thumbprint string
	header          string // encoded: it is the same for all proofs
}

// NewMaker returns a Maker that signs by an algorithm that is for the key, or
// by the usual one for such keys if alg is empty.
func NewMaker(key crypto.Signer, alg string) (*Maker, error) {
	public, err := jwk.Of(key.Public())
	if err != nil {
		return nil, err
	}
	if alg == "" {
		alg = jwk.Algorithms(key.Public())[0]
	}
	thumbprint, err := public.Thumbprint()
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(struct {
		Typ string  `json:"typ"`
		Alg string  `json:"alg"`
		JWK jwk.Key `json:"jwk"`
	}{Type, alg, public})
	return &Maker{key, alg, thumbprint, base64.RawURLEncoding.EncodeToString(header)}, err
}

// Thumbprint returns the thumbprint of the key (RFC 7638), the jkt of the
// tokens that are bound to it.
func (m *Maker) Thumbprint() string { return m.thumbprint }

// Of is what a proof is made of.
type Of struct {
	Method string
	URL    string // its query and fragment are left out
	Nonce  string // the newest that the server has given; empty: none
	Token  string // the access token that goes along; empty: none does
	Now    time.Time
}

// Make returns a new proof.
func (m *Maker) Make(of Of) (string, error) {
	claims := struct {
		JTI   string `json:"jti"`
		HTM   string `json:"htm"`
		HTU   string `json:"htu"`
		IAT   int64  `json:"iat"`
		ATH   string `json:"ath,omitempty"`
		Nonce string `json:"nonce,omitempty"`
	}{JTI: rand.Text(), HTM: of.Method, IAT: of.Now.Unix(), Nonce: of.Nonce}
	claims.HTU, _, _ = strings.Cut(of.URL, "#")
	claims.HTU, _, _ = strings.Cut(claims.HTU, "?")
	if of.Token != "" {
		claims.ATH = TokenHash(of.Token)
	}
	return jws.SignWith(m.key, m.alg, m.header, claims)
}
