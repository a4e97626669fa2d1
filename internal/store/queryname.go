package store

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// nameQuery completes the error of a query with the exported method that asked
// it and the ids that it was asked about, such as "Secrets(org_…, sa_…): …".
//
// It reads the method off the call stack. So no method can be forgotten, none
// keeps a stale name, and a query that succeeds pays nothing. One that fails
// pays a few microseconds.
func nameQuery(err error, args []any) error {
	if err == nil {
		return nil
	}
	methods := exportedCallers()
	if len(methods) == 0 {
		return err
	}
	return fmt.Errorf("%s%s: %w", strings.Join(methods, ": "), idsOf(args), err)
}

// exportedCallers returns the exported methods of this package that are being
// called, the outermost first. What runs the caller's code in a transaction is
// none of them.
func exportedCallers() (methods []string) {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	frame, more := frames.Next()
	for here := path.Dir(frame.File); more; frame, more = frames.Next() {
		if path.Dir(frame.File) != here {
			continue
		}
		if name := exportedMethod(frame.Function); name != "" && (len(methods) == 0 || methods[0] != name) {
			methods = slices.Insert(methods, 0, name)
		}
	}
	return methods
}

// exportedMethod returns the method in the full name of a function, or of a
// function literal within it; "" if it is none that asks a query.
func exportedMethod(function string) string {
	for _, receiver := range []string{"(*Q).", "(*Store).", "(*Sessions)."} {
		at := strings.LastIndex(function, receiver)
		if at < 0 {
			continue
		}
		name, _, _ := strings.Cut(function[at+len(receiver):], ".")
		if name[0] < 'A' || name[0] > 'Z' || strings.HasPrefix(name, "Write") {
			return ""
		}
		return name
	}
	return ""
}

// maxNamedIDs bounds how many ids an error repeats: some queries have hundreds.
const maxNamedIDs = 3

// idsOf returns the arguments of a query that have the form of an id, and so
// neither a hash nor a name nor an address.
func idsOf(args []any) string {
	var ids []string
	for _, arg := range args {
		if text, ok := arg.(string); ok && isID(text) && len(ids) < maxNamedIDs {
			ids = append(ids, text)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return "(" + strings.Join(ids, ", ") + ")"
}

func isID(text string) bool {
	prefix, _, _ := strings.Cut(text, "_")
	switch prefix {
	case svcauth.PrefixOrganization, svcauth.PrefixMember, svcauth.PrefixServiceAccount, svcauth.PrefixApplicationKey,
		svcauth.PrefixSecret, svcauth.PrefixRole, svcauth.PrefixGrant, svcauth.PrefixEvent:
		return svcauth.ValidID(prefix, text)
	}
	return false
}
