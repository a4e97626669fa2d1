package svcauth_test

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Struct tags can't name constants, so this test holds them together.
func TestBoundsInTagsAreTheConstants(t *testing.T) {
	type bound struct {
		field, tag string
		value      int
	}
	description := bound{"Description", "maxLength", svcauth.MaxDescriptionLength}
	name := bound{"Name", "maxLength", svcauth.MaxNameLength}
	roleIDs := bound{"RoleIDs", "maxItems", svcauth.MaxRolesPerPrincipal}
	firstName := bound{"FirstName", "maxLength", svcauth.MaxNameLength}
	lastName := bound{"LastName", "maxLength", svcauth.MaxNameLength}
	lifetime := bound{"TokenTTLSeconds", "maximum", svcauth.MaxTokenTTLSeconds}
	privileges := bound{"Privileges", "maxItems", svcauth.MaxPrivilegesPerRole}
	for noun, bounds := range map[reflect.Type][]bound{
		reflect.TypeFor[svcauth.NewServiceAccount]():   {name, description, roleIDs, lifetime},
		reflect.TypeFor[svcauth.ServiceAccountPatch](): {name, description, lifetime},
		reflect.TypeFor[svcauth.NewSecretRequest]():    {description},
		reflect.TypeFor[svcauth.SecretPatch]():         {description},
		reflect.TypeFor[svcauth.NewApplicationKey]():   {description},
		reflect.TypeFor[svcauth.NewRole]():             {name, description, privileges},
		reflect.TypeFor[svcauth.RolePatch]():           {name, description, privileges},
		reflect.TypeFor[svcauth.NewMember]():           {firstName, lastName, roleIDs},
		reflect.TypeFor[svcauth.MemberPatch]():         {firstName, lastName},
		reflect.TypeFor[svcauth.NewOrganization]():     {name},
		reflect.TypeFor[svcauth.OrganizationPatch]():   {name},
	} {
		for _, b := range bounds {
			field, ok := noun.FieldByName(b.field)
			if want := strconv.Itoa(b.value); !ok || field.Tag.Get(b.tag) != want {
				t.Errorf("%s.%s: %s is %q, want %s", noun, b.field, b.tag, field.Tag.Get(b.tag), want)
			}
		}
	}
}
