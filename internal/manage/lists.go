package manage

import (
	"io"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// marshal writes an answer. By the document no list may be null, so none is: a
// generated client iterates without looking.
func marshal(w io.Writer, v any) error {
	if v != nil {
		whole := reflect.New(reflect.TypeOf(v)).Elem()
		whole.Set(reflect.ValueOf(v))
		fillLists(whole)
		v = whole.Interface()
	}
	return huma.DefaultJSONFormat.Marshal(w, v)
}

// fillLists makes each list in v that is nil an empty one. What v points at may
// be shared, so it is copied before it is changed.
func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			fillLists(own.Elem())
			v.Set(own)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillLists(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // bytes, or JSON as it is
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		for i := range own.Len() {
			fillLists(own.Index(i))
		}
		v.Set(own)
	}
}
