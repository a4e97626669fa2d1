package console

import (
	"cmp"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// bindingChoices are what an account's tokens must be bound to, as people say
// it: value and label.
func bindingChoices() [][2]string {
	return [][2]string{
		{svcauth.TokenBindingNone, "to nothing; to a key if a proof is sent"},
		{svcauth.TokenBindingAny, "to a key or a client certificate"},
		{svcauth.TokenBindingDPoP, "to a key (DPoP)"},
		{svcauth.TokenBindingMTLS, "to a client certificate (mutual TLS)"},
	}
}

// bindingLabel returns what an account's tokens must be bound to, in words.
func bindingLabel(binding string) string {
	for _, one := range bindingChoices() {
		if one[0] == cmp.Or(binding, svcauth.TokenBindingNone) {
			return one[1]
		}
	}
	return binding
}

// onOff says how a switch stands.
func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
