package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// verb is one management command.
type verb struct {
	use     string // name and arguments: "get SERVICE-ACCOUNT", "explain WHAT [PRIVILEGE] [API]"
	aliases []string
	short   string
	long    string   // what short does not say; may be empty
	example []string // command lines that work as they stand; a test runs each
	flags   func(*pflag.FlagSet)
	choices map[string]choices // completion of arguments and flags, by their names in use and flags
	offline bool               // needs no credential: only the server's address
	run     func(ctx context.Context, s *session, args []string) error
}

// command returns the cobra command. It derives the number of arguments from
// use, and connects before it calls run.
func (v verb) command() *cobra.Command {
	var long []string
	for _, paragraph := range strings.Split(v.short+".\n\n"+v.long, "\n\n") {
		long = append(long, strings.Join(wrap(paragraph, tableWidth), "\n"))
	}
	c := &cobra.Command{
		Use:     v.use,
		Aliases: v.aliases,
		Short:   v.short,
		Long:    strings.TrimSpace(strings.Join(long, "\n\n")),
		Example: indented(v.example),
		Args:    argumentsOf(v.use),
	}
	if v.flags != nil {
		v.flags(c.Flags())
	}
	connection := addConnection(c.Flags(), !v.offline)
	c.Flags().StringVarP(&connection.output, "output", "o", "table", "table; json: the shapes of the API; or wide: "+
		"a table with all columns, of which nothing is cut, as in a pipe")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := connection.open(c, v.offline)
		if err != nil {
			return err
		}
		defer s.close()
		return s.explain(v.run(c.Context(), s, args))
	}
	addCompletion(c, v, connection)
	return c
}

// noun groups the commands about one kind of object. Without a command it
// prints its help.
func noun(use, short string, aliases []string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:     use,
		Short:   short,
		Aliases: aliases,
		Args:    knownVerb,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(verbs...)
	return c
}

// knownVerb refuses an argument that is no command of c, and suggests what may
// have been meant.
func knownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2
	}
	text := fmt.Sprintf("%q is no command of %s", clean(args[0]), c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError(text)
}

// argumentsOf checks the number of arguments: in use, NAME is required and
// [NAME] is optional.
func argumentsOf(use string) cobra.PositionalArgs {
	required, optional := argumentNames(use)
	return func(c *cobra.Command, args []string) error {
		switch all := append(append([]string{}, required...), optional...); {
		case len(args) < len(required):
			return wrongUsage("%s: %s is missing", c.CommandPath(), required[len(args)])
		case len(args) > len(all) && len(all) == 0:
			return wrongUsage("%s takes no arguments, got %q", c.CommandPath(), clean(args[0]))
		case len(args) > len(all):
			return wrongUsage("%s: expected %s and nothing after it, got %d arguments; quote a name that has spaces",
				c.CommandPath(), strings.Join(all, " "), len(args))
		}
		for i, arg := range args {
			if strings.TrimSpace(arg) == "" {
				return wrongUsage("%s: argument %d is empty", c.CommandPath(), i+1)
			}
		}
		return nil
	}
}

func argumentNames(use string) (required, optional []string) {
	for _, word := range strings.Fields(use)[1:] {
		if name, may := strings.CutPrefix(word, "["); may {
			optional = append(optional, strings.TrimSuffix(name, "]"))
		} else {
			required = append(required, word)
		}
	}
	return required, optional
}

func indented(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "  " + strings.Join(lines, "\n  ")
}

// wordList is a flag that may be repeated, each time with one or several words
// separated by commas or spaces.
type wordList []string

func (w *wordList) String() string { return strings.Join(*w, ",") }
func (w *wordList) Type() string   { return "strings" }

func (w *wordList) Set(text string) error {
	*w = append(*w,
		strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })...)
	return nil
}
