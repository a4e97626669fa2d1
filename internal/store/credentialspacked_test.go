package store

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestAClientIsPackedAsItIs: packing changes nothing of what a client is, with
// none, one or several of each that it can have.
func TestAClientIsPackedAsItIs(t *testing.T) {
	for n := range 3 {
		var c Credentials
		fillFields(reflect.ValueOf(&c).Elem(), n)
		before := c
		before.Secrets, before.Keys = clone(c.Secrets), clone(c.Keys)
		before.Federated, before.Certificates = clone(c.Federated), clone(c.Certificates)
		before.Grants, before.Used = clone(c.Grants), clone(c.Used)
		packed := c.packed()
		require.Equal(t, before, *packed)
		require.True(t, packed.Same(c.packed()))
	}
}

// TestMostClientsAreTwoPiecesOfMemory is why a client is packed.
func TestMostClientsAreTwoPiecesOfMemory(t *testing.T) {
	var c Credentials
	fillFields(reflect.ValueOf(&c).Elem(), 1)
	c.Keys, c.Federated, c.Certificates = nil, nil, nil
	require.Equal(t, 2.0, testing.AllocsPerRun(100, func() { c.packed() }))
	packed, first := c.packed(), 0
	for text := range packed.ownTexts {
		start := int(uintptr(unsafe.Pointer(unsafe.StringData(*text)))) // they follow each other
		if first == 0 {
			first = start
		}
		require.Equal(t, first, start)
		first += len(*text)
	}
}

func clone[T any](all []T) []T { return append([]T{}, all...) }

// fillFields gives each field of v a value of its own, and each slice n elements.
func fillFields(v reflect.Value, n int) {
	count := 0
	var each func(v reflect.Value)
	each = func(v reflect.Value) {
		switch count++; v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					each(v.Field(i))
				}
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				each(v.Index(i))
			}
		case reflect.String:
			v.SetString("text " + string(rune('0'+count)))
		case reflect.Bool:
			v.SetBool(true)
		default:
			v.SetInt(int64(count))
		}
	}
	each(v)
}
