package clientcert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestDistinguishedNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // empty: refused
		"CN=deployer,OU=ci,O=Example":   "CN=deployer,OU=ci,O=Example",
		"cn = deployer , o=Example":     "CN=deployer,O=Example",
		"O=Example,CN=deployer":         "O=Example,CN=deployer", // the order counts
		`CN=a\,b`:                       `CN=a\,b`,
		`CN=a\2Cb`:                      `CN=a\,b`,
		`CN=\ a\ `:                      `CN=\ a\ `,
		`CN=\#1`:                        `CN=\#1`,
		`CN=a=b`:                        `CN=a=b`,
		`CN=L\C3\BCbeck`:                "CN=Lübeck",
		"OU=b+CN=a":                     "CN=a+OU=b", // a set has no order
		"emailAddress=a@b.example":      "EMAILADDRESS=a@b.example",
		"1.2.840.113549.1.9.1=a@b.exam": "EMAILADDRESS=a@b.exam",
		"OID.2.5.4.3=x":                 "CN=x",
		"1.3.6.1.4.1.9=x":               "1.3.6.1.4.1.9=x",
		"DC=example,DC=com":             "DC=example,DC=com",
		"CN=":                           "", "": "",
		"deployer": "", "CN": "", "CN=a,": "", ",CN=a": "", "CN=a,,O=b": "",
		`CN="a"`: "", "CN=#0401": "", "NOPE=a": "",
		"CN=a;O=b": "", `CN=a\`: "", `CN=a\zz`: "", `CN=\FF`: "", "CN=a<b": "",
		"CN=a\x00": "", "1.2..3=x": "", "CN=" + strings.Repeat("a", svcauth.MaxCertificateName): "",
	} {
		name, err := Parse(SubjectDN, text)
		if want == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, name.Value, text)
		again, err := Parse(SubjectDN, name.Value)
		require.NoError(t, err)
		require.Equal(t, name, again)
	}
}

func TestNamesOfACertificate(t *testing.T) {
	t.Parallel()
	spiffe, err := url.Parse("spiffe://example.org/ns/ci/sa/deployer")
	require.NoError(t, err)
	root := certtest.New(t, "root")
	leaf := root.Issue(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{Country: []string{"DE"}, Organization: []string{`Example, "Inc"`}, CommonName: " deployer"}
		c.DNSNames, c.EmailAddresses = []string{"a.example", "*.b.example"}, []string{"ci@example.com"}
		c.IPAddresses, c.URIs = []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::7")}, []*url.URL{spiffe}
	}).Leaf
	var got []string
	for _, name := range Names(leaf) {
		got = append(got, name.String())
		require.Equal(t, name, ParseStored(name.String()))
	}
	require.ElementsMatch(t, []string{`subject_dn:CN=\ deployer,O=Example\, \"Inc\",C=DE`, "san_dns:a.example",
		"san_dns:*.b.example", "san_email:ci@example.com", "san_ip:192.0.2.7", "san_ip:2001:db8::7",
		"san_uri:spiffe://example.org/ns/ci/sa/deployer"}, got)

	// A subject with something that is no text is no name at all.
	odd, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: 7}}})
	require.NoError(t, err)
	_, err = subjectDN(odd)
	require.ErrorContains(t, err, "something else than text")
	require.Empty(t, Names(root.Issue(t, func(c *x509.Certificate) { c.Subject = pkix.Name{} }).Leaf))

	for kind, texts := range map[Kind][]string{
		SANDNS: {"", "a b", "ä.example", "a\n"}, SANURI: {"spiffe://a b", "\x00"}, SANEmail: {"a\t@b"},
		SANIP: {"192.0.2.0/24", "fe80::1%eth0", "host", "192.0.2.7:443"},
	} {
		for _, text := range texts {
			_, err := Parse(kind, text)
			require.Error(t, err, "%s %q", kind, text)
		}
	}
	name, err := Parse(SANIP, "::ffff:192.0.2.7")
	require.NoError(t, err)
	require.Equal(t, "192.0.2.7", name.Value)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	root, other := certtest.New(t, "root"), certtest.New(t, "root") // of one name
	middle := root.Below(t, "middle")
	pool := x509.NewCertPool()
	pool.AddCert(root.Certificate)
	now := time.Now()
	issue := func(edit func(*x509.Certificate)) *x509.Certificate { return root.Issue(t, edit).Leaf }
	for name, c := range map[string]struct {
		leaf    *x509.Certificate
		between []*x509.Certificate
		fault   string
	}{
		"right":                    {issue(nil), nil, ""},
		"with an intermediate":     {middle.Issue(t, nil).Leaf, []*x509.Certificate{middle.Certificate}, ""},
		"without its intermediate": {middle.Issue(t, nil).Leaf, nil, "no authority"},
		"another authority":        {other.Issue(t, nil).Leaf, []*x509.Certificate{other.Certificate}, "no authority"},
		"self-signed":              {certtest.SelfSigned(t, nil).Leaf, nil, "no authority"},
		"an authority's": {issue(func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
		}), nil, "CA:TRUE"},
		"below a client's": {func() *x509.Certificate {
			return middle.Issue(t, nil).Leaf
		}(), []*x509.Certificate{issue(nil)}, "no authority"},
		"expired": {issue(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), nil,
			"it expired on"},
		"not valid yet": {issue(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }), nil,
			"not valid yet"},
		"for servers": {issue(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), nil, "clientAuth"},
		"for anything": {issue(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, ""},
		"not to sign": {issue(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), nil,
			"digitalSignature"},
		"without key usage": {issue(func(c *x509.Certificate) { c.KeyUsage = 0 }), nil, ""},
	} {
		err := Verify(c.leaf, c.between, pool, now)
		if c.fault == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.fault, name)
	}
	require.Error(t, Verify(issue(nil), nil, pool, now.Add(48*time.Hour)))
}

func TestParsePEM(t *testing.T) {
	t.Parallel()
	pair := certtest.SelfSigned(t, nil)
	good, now := string(certtest.PEM(pair.Leaf)), time.Now()
	leaf, err := ParsePEM("subject=CN = client\n"+good+"\n", now)
	require.NoError(t, err)
	require.Equal(t, pair.Leaf.Raw, leaf.Raw)
	key := string(certtest.KeyPEM(t, pair))
	for text, fault := range map[string]string{
		"": "no certificate", "x": "no certificate", key: "private key", good + key: "private key",
		good + good: "more than one", good[:200]: "no certificate",
		strings.ReplaceAll(good, "CERTIFICATE", "X509 CRL"): "another type", strings.Repeat("a", 13000): "too long",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "can be read",
	} {
		_, err := ParsePEM(text, now)
		require.ErrorContains(t, err, fault)
		require.NotContains(t, err.Error(), "BEGIN PRIVATE")
	}
	_, err = ParsePEM(good, now.Add(48*time.Hour))
	require.ErrorContains(t, err, "expired")
}

// FuzzDN: what is read is written in one form, and that is read as itself.
func FuzzDN(f *testing.F) {
	for _, s := range []string{"CN=a", `CN=a\,b+O=c,DC=d`, `CN=\ `, `CN=\#\00`, "1.2.3=x", "CN=a  ,O = b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := canonicalDN(text)
		if err != nil {
			return
		}
		again, err := canonicalDN(value)
		require.NoError(t, err, "%q", value)
		require.Equal(t, value, again)
	})
}
