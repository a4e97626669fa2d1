package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// parseSecret is the function parse_secret. It returns the parts of a secret
// that may be shown, or why the text is no secret.
type parseSecret struct{}

// secretParts is its result.
type secretParts struct {
	Prefix types.String `tfsdk:"prefix"`
	Hint   types.String `tfsdk:"hint"`
}

func (parseSecret) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "parse_secret"
}

func (parseSecret) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "The parts of a client secret",
		MarkdownDescription: "Checks the form and the check sum of a client secret, and gives its `prefix` and " +
			"`hint`, the last four characters by which people tell secrets apart. " +
			"A text that is no secret is an error, which does not show it.",
		Parameters: []function.Parameter{function.StringParameter{Name: "secret", MarkdownDescription: "The secret."}},
		Return: function.ObjectReturn{
			AttributeTypes: map[string]attrType{"prefix": types.StringType, "hint": types.StringType},
		},
	}
}

func (parseSecret) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var text string
	if resp.Error = req.Arguments.Get(ctx, &text); resp.Error != nil {
		return
	}
	secret, err := svcauth.ParseSecret(text)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, secretParts{types.StringValue("svcs_"), types.StringValue(secret.Hint())})
}

// secretIsValid is the function secret_is_valid, for conditions.
type secretIsValid struct{}

func (secretIsValid) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "secret_is_valid"
}

func (secretIsValid) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Whether a text is a client secret",
		MarkdownDescription: "Whether a text has the form and the check sum of a client secret. " +
			"It says nothing of whether any server knows it.",
		Parameters: []function.Parameter{function.StringParameter{Name: "secret", MarkdownDescription: "The text."}},
		Return:     function.BoolReturn{},
	}
}

func (secretIsValid) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var text string
	if resp.Error = req.Arguments.Get(ctx, &text); resp.Error != nil {
		return
	}
	_, err := svcauth.ParseSecret(text)
	resp.Error = resp.Result.Set(ctx, err == nil)
}
