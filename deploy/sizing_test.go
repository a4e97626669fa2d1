package deploy_test

import (
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// figure is a row of a table in sizing.md: | `name` | value | …, with the
// formula in the third column if the value is reckoned.
type figure struct {
	name, stated, formula string
}

var figureRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9,.]+) \\|(?: `([^`]+)` \\|)?")

func figures(t *testing.T) (all []figure) {
	t.Helper()
	for _, row := range figureRow.FindAllStringSubmatch(read(t, "docs/sizing.md"), -1) {
		all = append(all, figure{row[1], strings.ReplaceAll(row[2], ",", ""), row[3]})
	}
	return all
}

// own are an operator's numbers: SIZING="accounts=50000 tokens_per_second=300".
func own(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for pair := range strings.FieldsSeq(os.Getenv("SIZING")) {
		name, value, _ := strings.Cut(pair, "=")
		_, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err, pair)
		values[name] = value
	}
	return values
}

// The figures that sizing.md has reckoned are what its formulas give. Formulas
// are Go's constant expressions over the rows above them. With SIZING the test
// prints the page's figures for other numbers:
//
//	SIZING="accounts=50000 tokens_per_second=300" go test -count=1 -v -run TestSizing ./deploy/
func TestSizingIsReckonedFromWhatItStates(t *testing.T) {
	pkg, values := types.NewPackage("sizing", "sizing"), own(t)
	asked, used, reckoned := len(values) > 0, map[string]bool{}, 0
	for _, f := range figures(t) {
		require.Nil(t, pkg.Scope().Lookup(f.name), "%s stands there twice", f.name)
		stated, err := strconv.ParseFloat(f.stated, 64)
		require.NoError(t, err, f.name)
		value := constant.MakeFloat64(stated)
		if text, ok := values[f.name]; ok {
			require.Empty(t, f.formula, "%s is reckoned", f.name)
			given, _ := strconv.ParseFloat(text, 64)
			value = constant.MakeFloat64(given)
			delete(values, f.name)
		}
		if f.formula != "" {
			reckoned++
			result, err := types.Eval(token.NewFileSet(), pkg, token.NoPos, f.formula)
			require.NoError(t, err, f.name)
			require.NotNil(t, result.Value, f.name)
			value = constant.ToFloat(result.Value)
			exact, _ := constant.Float64Val(value)
			if asked {
				t.Logf("%-22s %s", f.name, strconv.FormatFloat(exact, 'g', 3, 64))
			} else {
				require.LessOrEqual(t, math.Abs(stated-exact), math.Abs(exact)/100,
					"%s: the page says %s, its formula gives %g", f.name, f.stated, exact)
			}
			for _, word := range regexp.MustCompile(`[a-z_]{2,}`).FindAllString(f.formula, -1) {
				used[word] = true
			}
		}
		pkg.Scope().Insert(types.NewConst(token.NoPos, pkg, f.name, types.Typ[types.UntypedFloat], value))
	}
	require.Empty(t, values, "the page knows no such number")
	require.Greater(t, reckoned, 15)
	for _, f := range figures(t) {
		if f.formula == "" {
			require.True(t, used[f.name], fmt.Sprint("nothing is reckoned from ", f.name))
		}
	}
}
