package resourceserver

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// oneOfAll has a value in each field.
var oneOfAll = svcauth.Revocation{
	JTI: "tok_1", ClientID: "sa_1", MinEpoch: 1, Cred: "key_1", OrgID: "org_1", Role: "a b", Privilege: "clusters:view",
	MinPol: 2, UnlessBound: "any", Epoch: 3, Pol: 4, Exp: 1_900_000_000,
}

// TestWhatTheIssuerWritesIsPlain finds a field that was added to entries and is
// not read here.
func TestWhatTheIssuerWritesIsPlain(t *testing.T) {
	fields := reflect.ValueOf(oneOfAll)
	for n := range fields.NumField() {
		require.NotZero(t, fields.Field(n).Interface(), fields.Type().Field(n).Name)
	}
	written, err := json.Marshal(oneOfAll)
	require.NoError(t, err)
	read, ok := plainEntry(written)
	require.True(t, ok, "%s", written)
	require.Equal(t, oneOfAll, read)
	page, err := json.Marshal([]svcauth.Revocation{oneOfAll, {JTI: "tok_2", Exp: 5}})
	require.NoError(t, err)
	all, ok := plainEntries(page)
	require.True(t, ok)
	require.Equal(t, entries{oneOfAll, {JTI: "tok_2", Exp: 5}}, all)
}

// FuzzEntry says that what is read the short way is what encoding/json reads.
func FuzzEntry(f *testing.F) {
	written, err := json.Marshal(oneOfAll)
	require.NoError(f, err)
	for _, one := range []string{
		string(written), `{"exp":5}`, `{}`, ``, `}`, `{`, `]`, `,`, `null`, `{"exp":5,}`, `{,"exp":5}`, `{"exp":05}`, `{"exp":-5}`, `{"exp":0}`,
		`{"exp":5.0}`, `{"exp":5e1}`, `{"exp":999999999999999999}`, `{"exp":9999999999999999999}`, `{"exp":null}`,
		`{"jti":"a","jti":"b"}`, `{"JTI":"a"}`, `{"jti":"a\n"}`, `{"jti":"\u0061"}`, `{"jti":"ä"}`, "{\"jti\":\"\xff\"}",
		`{"jti":5}`, `{"exp":"5"}`, `{"other":1}`, `{"jti":"a"} `, ` {"jti":"a"}`, `{"jti": "a"}`, `{"jti":"a"}{`, `{"jti":"a`,
		`{"jti":"a"`, `{"exp":5`, `{"exp":`, `{"exp"`, `{"exp":}`, "{\"jti\":\"\x7f\"}",
	} {
		f.Add([]byte(one))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if read, ok := plainEntry(data); ok {
			var same svcauth.Revocation
			require.NoError(t, json.Unmarshal(data, &same))
			require.Equal(t, same, read)
		}
		page := fmt.Appendf(nil, "[%s,%s]", data, data)
		if read, ok := plainEntries(page); ok {
			var same []svcauth.Revocation
			require.NoError(t, json.Unmarshal(page, &same))
			require.Equal(t, same, []svcauth.Revocation(read))
		}
	})
}

// BenchmarkEntry reads an entry of one token, and for comparison has
// encoding/json read it.
func BenchmarkEntry(b *testing.B) {
	written, err := json.Marshal(svcauth.Revocation{
		JTI: "tok_01jdxxxxxxxxxxxxxxxxxxxxxx", ClientID: "sa_01jdxxxxxxxxxxxxxxxxxxxxxx", Epoch: 1, Pol: 1,
		OrgID: "org_01jdxxxxxxxxxxxxxxxxxxxxxx", Exp: 1_900_000_000,
	})
	require.NoError(b, err)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			_, _ = plainEntry(written)
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			var e svcauth.Revocation
			_ = json.Unmarshal(written, &e)
		}
	})
}
