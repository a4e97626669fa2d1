package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a noun has, its table says.
func TestNounsAreShownWhole(t *testing.T) {
	shownWhole(t, (*session).showFederated)
	shownWhole(t, (*session).showAccountKey, "Algorithm", "JWK") // the thumbprint says which key it is
	shownWhole(t, (*session).showCertificate)
	shownWhole(t, (*session).showSecret)
	shownWhole(t, (*session).showAccount)
	shownWhole(t, (*session).showRole, "Warnings", "MoreWarnings", "DefaultRefused") // role update says them
	shownWhole(t, (*session).showOrganization)
	shownWhole(t, (*session).showMember, "Suspended") // its status says that
	shownWhole(t, (*session).showKey)
}

// shownWhole takes one field after the other from a noun that has all: the text
// must be another one then, except for those of without.
func shownWhole[T any](t *testing.T, show func(*session, T) error, without ...string) {
	t.Helper()
	text := func(noun T) string {
		var out bytes.Buffer
		s := &session{out: &out, err: &out, now: func() time.Time { return time.Unix(1e9, 0) }}
		require.NoError(t, show(s, noun))
		return out.String()
	}
	kind := reflect.TypeFor[T]()
	for i := range kind.NumField() {
		field := kind.Field(i)
		if field.Tag.Get("json") == "-" {
			continue
		}
		var all T
		fill(reflect.ValueOf(&all).Elem(), new(int))
		some := all
		reflect.ValueOf(&some).Elem().Field(i).SetZero()
		for _, other := range exclusive[kind.Name()+"."+field.Name] {
			for _, one := range []*T{&all, &some} {
				reflect.ValueOf(one).Elem().FieldByName(other).SetZero()
			}
		}
		whole := text(all)
		for range 8 {
			assert.Equal(t, whole, text(all), "the same at each time")
		}
		if hidden := text(some) == whole; hidden != slices.Contains(without, field.Name) {
			t.Errorf("%s.%s: shown %t\n%s", kind.Name(), field.Name, !hidden, whole)
		}
	}
}

// exclusive has what no noun has beside a field.
var exclusive = map[string][]string{
	"FederatedCredential.JWKSURI":   {"JWKS"},
	"Key.Thumbprint":                {"JWKSURI"},
	"Certificate.SANDNS":            {"SubjectDN"},
	"Certificate.SANURI":            {"SubjectDN", "SANDNS"},
	"Certificate.SANIP":             {"SubjectDN", "SANDNS", "SANURI"},
	"Certificate.SANEmail":          {"SubjectDN", "SANDNS", "SANURI", "SANIP"},
	"Certificate.CertificateSHA256": {"SubjectDN", "SANDNS", "SANURI", "SANIP", "SANEmail"},
}

// fill gives each value in v one that no other has.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1e9+int64(*n)*1e5, 0)))
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"n":%d}`, *n))))
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text%d", *n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(int64(*n) + 100)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 5 {
			*n++
			value := reflect.New(v.Type().Elem()).Elem()
			if value.Kind() == reflect.Interface {
				value.Set(reflect.ValueOf("text"))
			} else {
				fill(value, n)
			}
			v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("name%d", *n)), value)
		}
	}
}
