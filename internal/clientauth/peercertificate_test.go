package clientauth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/certtest"
)

func sequence(c *x509.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":"
}

// escapedByNginx writes PEM as $ssl_client_escaped_cert does.
func escapedByNginx(certificates ...*x509.Certificate) string {
	return strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(certificates...))), "+", "%20")
}

// escapedByAWS leaves + = / as they are.
func escapedByAWS(certificates ...*x509.Certificate) string {
	return strings.NewReplacer("\n", "%0A", " ", "%20").Replace(string(certtest.PEM(certificates...)))
}

func hash(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func TestCertificatesThatProxiesHandOn(t *testing.T) {
	t.Parallel()
	root := certtest.New(t, "root")
	middle := root.Below(t, "middle")
	one, other := middle.Issue(t, nil).Leaf, root.Issue(t, nil).Leaf
	cert := `Cert="` + escapedByNginx(one) + `"`
	hashed := "Hash=" + hash(one)
	long := make([]*x509.Certificate, maxChain+1)
	for i := range long {
		long[i] = one
	}
	for name, c := range map[string]struct {
		format string
		value  string
		fault  string // empty: it is one
		chain  int    // certificates behind it
	}{
		"RFC 9440":              {FormatRFC9440, sequence(one), "", 0},
		"RFC 9440, with spaces": {FormatRFC9440, " " + sequence(one) + "\t", "", 0},
		"RFC 9440, cut":         {FormatRFC9440, strings.TrimSuffix(sequence(one), ":"), "between two colons", 0},
		"RFC 9440, a colon":     {FormatRFC9440, ":", "between two colons", 0},
		"RFC 9440, two":         {FormatRFC9440, sequence(one) + ", " + sequence(one), "not base64", 0},
		"RFC 9440, parameters":  {FormatRFC9440, sequence(one) + ";a=1", "between two colons", 0},
		"RFC 9440, URL-safe": {FormatRFC9440,
			":" + base64.RawURLEncoding.EncodeToString(one.Raw) + ":", "not base64", 0},
		"RFC 9440, something else": {FormatRFC9440, ":AAAA:", "not an X.509", 0},
		"RFC 9440, more behind it": {FormatRFC9440, ":" + base64.StdEncoding.EncodeToString(
			append(append([]byte{}, one.Raw...), 0)) + ":", "not an X.509", 0},
		"nginx":           {FormatPEMURLEncoded, escapedByNginx(one), "", 0},
		"AWS":             {FormatPEMURLEncoded, escapedByAWS(one), "", 0},
		"AWS, the chain":  {FormatPEMURLEncoded, escapedByAWS(one, middle.Certificate), "", 1},
		"PEM, a long one": {FormatPEMURLEncoded, strings.Repeat("%20", 5000), "too long", 0},
		"PEM, five":       {FormatPEMURLEncoded, escapedByAWS(long...), "too many certificates", 0},
		"PEM, a key": {FormatPEMURLEncoded, url.PathEscape(string(certtest.KeyPEM(t, root.Issue(t, nil)))),
			"expected -----BEGIN CERTIFICATE-----", 0},
		"PEM, cut":        {FormatPEMURLEncoded, cutBetweenEscapes(escapedByNginx(one), 500), "cut or", 0},
		"PEM, a preamble": {FormatPEMURLEncoded, "x" + escapedByNginx(one), "expected -----BEGIN", 0},
		"PEM, an epilogue": {FormatPEMURLEncoded, escapedByNginx(one) + "x",
			"expected -----BEGIN CERTIFICATE-----", 0},
		"PEM, a wrong escape":   {FormatPEMURLEncoded, "%zz", "not a URL-encoded", 0},
		"PEM, of RFC 9440":      {FormatPEMURLEncoded, sequence(one), "expected -----BEGIN", 0},
		"PEM, spaces alone":     {FormatPEMURLEncoded, "%20%0A", "holds no certificate", 0},
		"Envoy":                 {FormatXFCC, hashed + ";" + cert, "", 0},
		"Envoy, all of it":      {FormatXFCC, "By=spiffe://x/y;" + hashed + ";" + cert + `;Subject="CN=a\"b,O=c;d";URI=spiffe://a;DNS=b;DNS=c`, "", 0},
		"Envoy, small letters":  {FormatXFCC, strings.ToLower(hashed) + ";cert=" + cert[5:], "", 0},
		"Envoy, the chain":      {FormatXFCC, hashed + ";" + cert + `;Chain="` + escapedByNginx(one, middle.Certificate) + `"`, "", 1},
		"Envoy, another chain":  {FormatXFCC, hashed + ";" + cert + `;Chain="` + escapedByNginx(other, one) + `"`, "does not begin", 0},
		"Envoy, an empty chain": {FormatXFCC, hashed + ";" + cert + `;Chain="%20"`, "does not begin", 0},
		"Envoy, no Cert":        {FormatXFCC, hashed, "no Cert or no Hash", 0},
		"Envoy, no Hash":        {FormatXFCC, cert, "no Cert or no Hash", 0},
		"Envoy, another Hash":   {FormatXFCC, "Hash=" + hash(other) + ";" + cert, "not its Cert's", 0},
		"Envoy, two Certs":      {FormatXFCC, hashed + ";" + cert + ";" + cert, "twice", 0},
		"Envoy, two elements":   {FormatXFCC, hashed + ";" + cert + "," + hashed + ";" + cert, "several elements", 0},
		// What a client has put into the URI of its certificate, with another
		// client's certificate.
		"Envoy, a URI that pretends": {FormatXFCC, "Hash=" + hash(other) + ";URI=spiffe://a;" + cert,
			"not its Cert's", 0},
		"Envoy, a URI with a Hash":  {FormatXFCC, "Hash=" + hash(other) + ";URI=a;" + hashed + ";" + cert, "twice", 0},
		"Envoy, a URI with a quote": {FormatXFCC, hashed + `;URI=a"b;` + cert, "quote", 0},
		"Envoy, an open quote":      {FormatXFCC, hashed + `;Cert="` + escapedByNginx(one), "quote", 0},
		"Envoy, no pair":            {FormatXFCC, "Hash", "expected Key=Value", 0},
		"Envoy, two PEMs":           {FormatXFCC, hashed + `;Cert="` + escapedByNginx(one, one) + `"`, "not one", 0},
	} {
		reader := NewCertificateReader("x-client-cert", c.format, "")
		request := &http.Request{Header: http.Header{"X-Client-Cert": {c.value}}}
		got, refusal := reader.Read(request, true)
		if c.fault != "" {
			require.NotNil(t, refusal, name)
			require.Equal(t, http.StatusBadRequest, refusal.Status, name)
			require.Contains(t, refusal.Description, c.fault, name)
			require.Nil(t, got.Leaf, name)
			continue
		}
		require.Nil(t, refusal, name)
		require.True(t, got.Leaf.Equal(one), name)
		require.Len(t, got.Intermediates, c.chain, name)
	}
}

func TestWhoseCertificateItIs(t *testing.T) {
	t.Parallel()
	root := certtest.New(t, "root")
	middle := root.Below(t, "middle")
	one, proxys := middle.Issue(t, nil), root.Issue(t, nil)
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{proxys.Leaf, root.Certificate}}
	read := func(reader *CertificateReader, proxied bool, header http.Header) (PeerCertificate, string) {
		got, refusal := reader.Read(&http.Request{TLS: state, Header: header}, proxied)
		if refusal != nil {
			return got, refusal.Description
		}
		return got, ""
	}
	reader := NewCertificateReader("Client-Cert", FormatRFC9440, "X-Verified")
	require.Equal(t, []string{"Client-Cert", "Client-Cert-Chain", "X-Verified"}, reader.Fields())
	require.Empty(t, (&CertificateReader{}).Fields())
	handed := func(pairs ...string) http.Header {
		h := http.Header{"Client-Cert": {sequence(one.Leaf)}}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}

	// The proxy's own certificate is nobody's, with a header and without.
	got, _ := read(&CertificateReader{}, true, handed())
	require.Nil(t, got.Leaf)
	got, _ = read(reader, true, http.Header{})
	require.Nil(t, got.Leaf)
	for _, none := range []string{"", "::"} { // what some write if there is none
		got, fault := read(reader, true, http.Header{"Client-Cert": {none}})
		require.Empty(t, fault)
		require.Nil(t, got.Leaf)
	}

	// From others the connection alone counts. The frame refuses the header.
	got, _ = read(reader, false, handed())
	require.True(t, got.Leaf.Equal(proxys.Leaf))
	require.Len(t, got.Intermediates, 1)
	require.False(t, got.Unverified)

	got, fault := read(reader, true, handed("X-Verified", "SUCCESS", "Client-Cert-Chain", sequence(middle.Certificate)))
	require.Empty(t, fault)
	require.True(t, got.Leaf.Equal(one.Leaf))
	require.Len(t, got.Intermediates, 1)
	require.False(t, got.Unverified)
	for _, word := range []string{"FAILED:self signed certificate", "NONE", "success", "SUCCESS SUCCESS", ""} {
		got, fault = read(reader, true, handed("X-Verified", word))
		require.Empty(t, fault, word)
		require.True(t, got.Unverified, word)
	}
	got, _ = read(reader, true, handed())
	require.True(t, got.Unverified)

	for want, header := range map[string]http.Header{
		"Client-Cert came twice": handed("Client-Cert", sequence(one.Leaf)),
		"X-Verified came twice":  handed("X-Verified", "FAILED", "X-Verified", "SUCCESS"),
		"Client-Cert-Chain came twice": handed("Client-Cert-Chain", sequence(middle.Certificate),
			"Client-Cert-Chain", sequence(middle.Certificate)),
		"between two colons": handed("Client-Cert-Chain", "x"),
		"too many":           handed("Client-Cert-Chain", ":AA==:,:AA==:,:AA==:,:AA==:"),
		"too long":           handed("Client-Cert-Chain", strings.Repeat(" ", maxCertificateField+1)),
	} {
		_, fault := read(reader, true, header)
		require.Contains(t, fault, want)
	}
}

// cutBetweenEscapes returns at most n bytes of a text, none of which is within
// an escape.
func cutBetweenEscapes(text string, n int) string { return text[:strings.LastIndexByte(text[:n], '%')] }

// small is as short a certificate as there is, the same each time it is made: a
// fuzzer shortens each input that shows it something new, which takes as long
// as the square of its length, and longer if the same input can show two
// things.
func small(f *testing.F) *x509.Certificate {
	f.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<31, 0)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	require.NoError(f, err)
	one, err := x509.ParseCertificate(der)
	require.NoError(f, err)
	return one
}

// FuzzClientCert reads what proxies hand on, in each format. What is read is
// what was written, and nothing is read of anything else.
func FuzzClientCert(f *testing.F) {
	one, formats := small(f), []string{FormatRFC9440, FormatPEMURLEncoded, FormatXFCC}
	for format := range formats {
		for _, s := range []string{"", ":", "::", sequence(one), escapedByNginx(one), escapedByAWS(one, one),
			"Hash=" + hash(one) + `;Cert="` + escapedByNginx(one) + `"`, `a="\`, `a="\"`, "=", ";", `Hash=,Cert=""`,
			"-----BEGIN CERTIFICATE-----", "%", sequence(one) + "," + sequence(one)} {
			f.Add(uint8(format), s)
		}
	}
	f.Fuzz(func(t *testing.T, chosen uint8, value string) {
		format := formats[int(chosen)%len(formats)]
		reader := NewCertificateReader("Client-Cert", format, "")
		got, refusal := reader.Read(&http.Request{Header: http.Header{"Client-Cert": {value}}}, true)
		if refusal != nil {
			if got.Leaf != nil || refusal.Status != http.StatusBadRequest {
				t.Fatalf("%s: refused with %d, and a certificate: %t", format, refusal.Status, got.Leaf != nil)
			}
			return
		}
		if got.Leaf == nil {
			require.Contains(t, []string{"", "::"}, strings.Trim(value, " \t"))
			return
		}
		require.LessOrEqual(t, len(got.Intermediates), maxChain-1)
		written := map[string]string{FormatRFC9440: sequence(got.Leaf),
			FormatPEMURLEncoded: escapedByNginx(got.Leaf),
			FormatXFCC:          "Hash=" + hash(got.Leaf) + `;Cert="` + escapedByNginx(got.Leaf) + `"`}[format]
		again, refusal := reader.Read(&http.Request{Header: http.Header{"Client-Cert": {written}}}, true)
		require.Nil(t, refusal)
		require.Equal(t, got.Leaf.Raw, again.Leaf.Raw)
	})
}
