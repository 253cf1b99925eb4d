// Asks the scripts of Argo CD, in the Lua that Argo CD runs them in, about the objects of objects.json, scenes.json and
// cases.json: how each is, which actions are offered for it, and what each of those changes. Writes vectors.json.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v3/resource_customizations"
	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// Files of objects. Each is a list of Named.
var files = []string{"objects.json", "scenes.json", "cases.json"}

// Named is an object, by a name that no other one has.
type Named struct {
	Name   string         `json:"name"`
	Object map[string]any `json:"object"`
}

// Health is what a health script says; or that it fails, with its words.
type Health struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Action is an action that is offered for an object, and, unless it is disabled or fails, the merge patch that it is.
type Action struct {
	Name     string         `json:"name"`
	Disabled bool           `json:"disabled,omitempty"`
	Patch    map[string]any `json:"patch,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// Vector is what Argo CD says about one object.
type Vector struct {
	Name   string `json:"name"`
	Health Health `json:"health"`
	// WithoutPhase is the health of the same Rollout if its controller wrote no phase.
	WithoutPhase *Health `json:"withoutPhase,omitempty"`
	// Actions, by name. Discovery is why there are none, when that fails.
	Actions   []Action `json:"actions,omitempty"`
	Discovery string   `json:"discovery,omitempty"`
}

// The moment at which all scripts run.
var now = time.Date(2026, time.November, 22, 12, 30, 45, 0, time.UTC)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// script is a file of the folder of a kind; empty when there is none.
func script(object map[string]any, file string) string {
	group, _, _ := strings.Cut(object["apiVersion"].(string), "/")
	name := path.Join(group, object["kind"].(string), file)
	text, err := resource_customizations.Embedded.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	check(err)
	return string(text)
}

// date is os.date for the formats that the scripts use, at a moment that is always the same.
func date(l *lua.LState) int {
	format, utc := strings.CutPrefix(l.CheckString(1), "!")
	if !utc {
		l.RaiseError("a local time: %s", format)
	}
	fields := strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%X", "15:04:05")
	l.Push(lua.LString(now.Format(fields.Replace(format))))
	return 1
}

// run gives what a script returns about an object, as JSON values.
func run(object map[string]any, text string) (any, error) {
	l := lua.NewState()
	defer l.Close()
	l.GetGlobal("os").(*lua.LTable).RawSetString("date", l.NewFunction(date))
	encoded, err := json.Marshal(object)
	check(err)
	value, err := luajson.Decode(l, encoded)
	check(err)
	l.SetGlobal("obj", value)
	if err := l.DoString(text); err != nil {
		var failed *lua.ApiError
		if errors.As(err, &failed) {
			return nil, errors.New(failed.Object.String())
		}
		return nil, err
	}
	returned, err := luajson.Encode(l.Get(-1))
	if err != nil {
		return nil, err
	}
	var result any
	return result, json.Unmarshal(returned, &result)
}

func health(object map[string]any) Health {
	said, err := run(object, script(object, "health.lua"))
	if err != nil {
		return Health{Error: err.Error()}
	}
	// A table without fields comes back as a list.
	fields, _ := said.(map[string]any)
	status, _ := fields["status"].(string)
	message, _ := fields["message"].(string)
	return Health{Status: status, Message: message}
}

// without gives a copy of a Rollout as controllers wrote it that knew no phase.
func without(object map[string]any) map[string]any {
	copied := maps.Clone(object)
	status, _ := copied["status"].(map[string]any)
	status = maps.Clone(status)
	delete(status, "phase")
	delete(status, "message")
	copied["status"] = status
	return copied
}

// empty: in Lua, a map without fields and a list without items are the same.
func empty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// same tells whether two values are the same to Lua.
func same(one, other any) bool {
	if empty(one) && empty(other) {
		return true
	}
	switch one := one.(type) {
	case map[string]any:
		other, ok := other.(map[string]any)
		return ok && len(diff(one, other)) == 0
	case []any:
		other, ok := other.([]any)
		return ok && slices.EqualFunc(one, other, same)
	}
	return reflect.DeepEqual(one, other)
}

// diff is the merge patch that leads from one object to another.
func diff(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for key := range from {
		if _, stays := to[key]; !stays {
			patch[key] = nil
		}
	}
	for key, value := range to {
		known, exists := from[key]
		if exists && same(known, value) {
			continue
		}
		before, is := known.(map[string]any)
		after, stays := value.(map[string]any)
		if is && stays {
			patch[key] = diff(before, after)
		} else {
			patch[key] = value
		}
	}
	return patch
}

func act(object map[string]any, action *Action) {
	changed, err := run(object, script(object, path.Join("actions", action.Name, "action.lua")))
	if err != nil {
		action.Error = err.Error()
		return
	}
	action.Patch = diff(object, changed.(map[string]any))
}

func actions(object map[string]any) ([]Action, error) {
	text := script(object, "actions/discovery.lua")
	if text == "" {
		return nil, nil
	}
	found, err := run(object, text)
	if err != nil {
		return nil, err
	}
	offered := found.(map[string]any)
	all := []Action{}
	for _, name := range slices.Sorted(maps.Keys(offered)) {
		// Only a true that is a boolean disables; an empty table disables nothing.
		fields, _ := offered[name].(map[string]any)
		disabled, _ := fields["disabled"].(bool)
		action := Action{Name: name, Disabled: disabled}
		if !disabled {
			act(object, &action)
		}
		all = append(all, action)
	}
	return all, nil
}

func ask(named Named) Vector {
	vector := Vector{Name: named.Name, Health: health(named.Object)}
	if status, ok := named.Object["status"].(map[string]any); ok && named.Object["kind"] == "Rollout" && status["phase"] != nil {
		told := health(without(named.Object))
		vector.WithoutPhase = &told
	}
	offered, err := actions(named.Object)
	if err != nil {
		vector.Discovery = err.Error()
	}
	vector.Actions = offered
	return vector
}

func main() {
	lines := [][]byte{}
	known := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		var all []Named
		check(json.Unmarshal(text, &all))
		for _, named := range all {
			if known[named.Name] {
				panic("two objects are called " + named.Name)
			}
			known[named.Name] = true
			line := bytes.Buffer{}
			encoder := json.NewEncoder(&line)
			encoder.SetEscapeHTML(false)
			check(encoder.Encode(ask(named)))
			lines = append(lines, bytes.TrimSpace(line.Bytes()))
		}
	}
	text := slices.Concat([]byte("[\n"), bytes.Join(lines, []byte(",\n")), []byte("\n]\n"))
	check(os.WriteFile("vectors.json", text, 0o644))
}
