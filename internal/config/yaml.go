package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	yamlparser "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// lineNumbers is the line of each key. koanf keeps no lines, so the file is walked once more for them.
type lineNumbers map[string]int

// of is the key's own line, or that of the nearest section above it.
func (l lineNumbers) of(key string) int {
	for {
		if line, ok := l[key]; ok {
			return line
		}
		dot := strings.LastIndexByte(key, '.')
		if dot < 0 {
			return 1
		}
		key = key[:dot]
	}
}

// parseYAML reads one YAML document. An error is a [Fault] with its line, and never quotes the text, which may hold secrets.
func parseYAML(name string, raw []byte) (*koanf.Koanf, lineNumbers, error) {
	documents := yaml.NewDecoder(bytes.NewReader(raw))
	var root, second yaml.Node
	if err := documents.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, yamlFault(name, err)
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, nil, Fault{Source: name, Problem: "holds more than one YAML document (---); write one"}
	}
	lines := lineNumbers{}
	if len(root.Content) > 0 {
		if root.Content[0].Kind != yaml.MappingNode && root.Content[0].Tag != "!!null" {
			return nil, nil, Fault{Source: fmt.Sprintf("%s:%d", name, root.Content[0].Line), Problem: "expected keys and values (issuer: …) at the top of the file"}
		}
		if twice := lines.walk("", root.Content[0], 0); twice != nil {
			return nil, nil, Fault{Source: fmt.Sprintf("%s:%d", name, twice.Line), Problem: "the key " + quoteName(twice.Value) + " is given twice; keep one"}
		}
	}
	layer := koanf.New(".")
	if err := layer.Load(rawbytes.Provider(raw), yamlparser.Parser()); err != nil {
		return nil, nil, yamlFault(name, err)
	}
	return layer, lines, nil
}

// walk notes the line of each key below node, and returns the first key that is given twice.
func (l lineNumbers) walk(prefix string, node *yaml.Node, depth int) (twice *yaml.Node) {
	if node.Kind != yaml.MappingNode || depth > 10 {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		key := prefix + name.Value
		if _, ok := l[key]; ok {
			return name
		}
		l[key] = name.Line
		if twice := l.walk(key+".", node.Content[i+1], depth+1); twice != nil {
			return twice
		}
	}
	return nil
}

var yamlErrorLine = regexp.MustCompile(`line (\d+)`)

// yamlFault keeps of a YAML error the line and the first clause. What the parser quotes between backquotes is left out.
func yamlFault(name string, err error) Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	source := name
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		source += ":" + m[1]
		text = strings.TrimPrefix(text, "line "+m[1]+": ")
	}
	text = regexp.MustCompile("`[^`]*`").ReplaceAllString(text, redacted)
	text = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(text, redacted)
	return Fault{Source: source, Problem: "is not valid YAML: " + strings.Join(strings.Fields(text), " ")}
}

// quoteName shows a name from outside on one line, bounded.
func quoteName(name string) string {
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	return strconv.QuoteToGraphic(name)
}

// Error makes a Fault an error by itself.
func (f Fault) Error() string { return f.String() }
