package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestServiceAccountLife(t *testing.T) {
	f := newFixture(t, nil)
	viewer := f.Role("Viewer", view)
	made := f.Account("ci", viewer)
	got, err := f.Service.ServiceAccount(f.Admin(), made.ID)
	require.NoError(t, err)
	made.ClientSecret = ""
	require.Equal(t, made, got)

	token := f.Token(made.ID)
	f.lives(token)
	require.NoError(t, f.Service.DeleteServiceAccount(f.Admin(), made.ID))
	f.dies(token)
	_, err = f.Service.ServiceAccount(f.Admin(), made.ID)
	problem(t, svcauth.CodeNotFound, err)
}
