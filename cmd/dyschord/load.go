package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"dyschord/dht"
)

// loaded are effective settings and where each came from.
type loaded struct {
	settings settings
	values   map[string]any    // by key
	sources  map[string]source // by key
}

// source is where the value of a setting came from.
type source struct {
	from string // flag, environment, file or default
	name string // the flag, the variable or the path of the file
}

func (s source) String() string { return strings.TrimSpace(s.from + " " + s.name) }

// settingFlag is the command-line form of one setting. It keeps the text; the
// table's kind reads it, as it reads the environment and the file.
type settingFlag struct {
	setting setting
	text    string
	changed bool
}

func (f *settingFlag) String() string { return f.text }
func (f *settingFlag) Type() string   { return f.setting.kind.name() }

func (f *settingFlag) Set(s string) error {
	if _, isList := f.setting.kind.(list); isList && f.changed {
		s = f.text + "," + s
	}
	f.text, f.changed = s, true
	return nil
}

// boundFlag shows a flag to viper as plain text: viper's own conversion turns what
// it cannot read into zero.
type boundFlag struct{ flag *pflag.Flag }

func (b boundFlag) HasChanged() bool    { return b.flag.Changed }
func (b boundFlag) Name() string        { return b.flag.Name }
func (b boundFlag) ValueString() string { return b.flag.Value.String() }
func (b boundFlag) ValueType() string   { return "string" }

// addSettingFlags declares a flag for every setting of table, and --config where
// there may be a file.
func addSettingFlags(c *cobra.Command, table []setting, file bool) {
	flags := c.Flags()
	for _, s := range table {
		f := flags.VarPF(&settingFlag{setting: s, text: inline(s.def)}, s.key, "", s.help)
		complete := cobra.NoFileCompletions
		switch k := s.kind.(type) {
		case yesNo:
			f.NoOptDefVal = "true"
		case choice:
			complete = cobra.FixedCompletions(k.allowed, cobra.ShellCompDirectiveNoFileComp)
		case text:
			if k.what == "FILE" || k.what == "DIR" {
				continue // the shell completes names of files
			}
		}
		_ = c.RegisterFlagCompletionFunc(s.key, complete) // the flag is there, and has none yet
	}
	if file {
		flags.String("config", "", "settings file: YAML, JSON or TOML (default: dyschord.yaml, .json or .toml here or in the user's configuration folder)")
	}
}

// loader reads settings from all their sources.
type loader struct {
	table []setting
	flags *pflag.FlagSet
	file  bool // whether a settings file is read
}

// load reads, checks and decodes the settings.
func (l loader) load() (loaded, error) {
	if err := checkEnvironment(os.Environ()); err != nil {
		return loaded{}, err
	}
	v := viper.New()
	v.AllowEmptyEnv(true)
	if err := l.readFile(v); err != nil {
		return loaded{}, err
	}
	l.bind(v)
	out := loaded{values: map[string]any{}, sources: map[string]source{}}
	followingDefaults(v)
	for _, s := range l.table {
		src := l.source(v, s)
		value, err := s.kind.parse(v.Get(s.key))
		if err != nil {
			return loaded{}, usagef("setting %s: %q (%s) %w", s.key, fmt.Sprint(v.Get(s.key)), src, err)
		}
		v.Set(s.key, value)
		out.values[s.key], out.sources[s.key] = value, src
	}
	if err := v.UnmarshalExact(&out.settings); err != nil {
		return loaded{}, fmt.Errorf("decode settings: %w", err)
	}
	return out, out.conflicts()
}

// followingDefaults sets the defaults that follow from other settings: fewer slots
// where a narrow space has no room for more, pointers in proportion to the degree.
func followingDefaults(v *viper.Viper) {
	if bits, err := (number{min: dht.MinBits, max: 8}).parse(v.Get("bits")); err == nil {
		v.SetDefault("slots", 1<<bits.(int))
	}
	if degree, err := (number{min: 2, max: 64}).parse(v.Get("koorde.degree")); err == nil {
		v.SetDefault("koorde.pointers", pointersOf(degree.(int)))
	}
}

func (l loader) bind(v *viper.Viper) {
	for _, s := range l.table {
		v.SetDefault(s.key, s.def)
		// Neither fails: both names are given.
		_ = v.BindEnv(s.key, s.env())
		if flag := l.flags.Lookup(s.key); flag != nil {
			_ = v.BindFlagValue(s.key, boundFlag{flag})
		}
	}
}

func (l loader) source(v *viper.Viper, s setting) source {
	if l.flags.Changed(s.key) {
		return source{"flag", "--" + s.key}
	}
	if _, ok := os.LookupEnv(s.env()); ok {
		return source{"environment", s.env()}
	}
	if v.InConfig(s.key) {
		return source{"file", v.ConfigFileUsed()}
	}
	return source{from: "default"}
}

// readFile reads the settings file into v, which holds nothing else yet, and
// refuses keys that are no settings.
func (l loader) readFile(v *viper.Viper) error {
	path, err := l.findFile()
	if err != nil || path == "" {
		return err
	}
	v.SetConfigFile(path)
	if err := v.ReadInConfig(); err != nil {
		return usagef("settings file %s: %w: correct it, or name another with --config", path, err)
	}
	for _, key := range slices.Sorted(slices.Values(v.AllKeys())) {
		if !slices.ContainsFunc(l.table, func(s setting) bool { return s.key == key }) {
			return usagef("unknown setting %s (file %s)%s: `dyschord config example` lists all", key, path, suggestion(key, l.keys()))
		}
		if v.Get(key) == nil {
			return usagef("setting %s (file %s) has no value: write one, or remove the line to use the default", key, path)
		}
	}
	return nil
}

func (l loader) keys() []string {
	var keys []string
	for _, s := range l.table {
		keys = append(keys, s.key)
	}
	return keys
}

var fileTypes = []string{"yaml", "json", "toml"}

// findFile returns the settings file to read: the one that was named, or the first
// that is there, or none.
func (l loader) findFile() (string, error) {
	if !l.file {
		return "", nil
	}
	path, named := os.LookupEnv("DYSCHORD_CONFIG")
	from := "environment DYSCHORD_CONFIG"
	if l.flags.Changed("config") {
		path, named, from = l.flags.Lookup("config").Value.String(), true, "flag --config"
	}
	if !named {
		return firstFile(fileCandidates())
	}
	if ext := strings.TrimPrefix(filepath.Ext(path), "."); !slices.Contains(fileTypes, ext) && ext != "yml" {
		return "", usagef("settings file %q (%s) has an unknown ending: .yaml, .json or .toml is allowed", path, from)
	}
	if _, err := os.Stat(path); err != nil {
		return "", usagef("settings file %q (%s): %w: name a file that is there", path, from, errors.Unwrap(err))
	}
	return path, nil
}

func fileCandidates() []string {
	folders := []string{"."}
	if user, err := os.UserConfigDir(); err == nil {
		folders = append(folders, filepath.Join(user, "dyschord"))
	}
	var paths []string
	for _, folder := range folders {
		for _, ext := range fileTypes {
			paths = append(paths, filepath.Join(folder, "dyschord."+ext))
		}
	}
	return paths
}

func firstFile(paths []string) (string, error) {
	for _, path := range paths {
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", usagef("settings file %s: %w: make it readable, or name another with --config", path, errors.Unwrap(err))
		}
	}
	return "", nil
}

// checkEnvironment refuses DYSCHORD_ variables that no command knows: most are
// misspelt settings, which would otherwise be ignored in silence.
func checkEnvironment(environ []string) error {
	known := []string{"DYSCHORD_CONFIG", "DYSCHORD_TOKEN"}
	for _, s := range append(settingTable(), devTable()...) {
		known = append(known, s.env())
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "DYSCHORD_") && !slices.Contains(known, name) {
			return usagef("unknown setting %s (environment)%s: unset it; `dyschord config print` lists all", name, suggestion(name, known))
		}
	}
	return nil
}

// suggestion names the word that what was probably meant to be, if any is near.
func suggestion(what string, words []string) string {
	best, distance := "", 3
	for _, word := range words {
		if d := editDistance(what, word); d < distance {
			best, distance = word, d
		}
	}
	if best == "" {
		return ""
	}
	return ", perhaps " + best
}

// editDistance is the number of letters to insert, remove or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// inline writes a value as YAML and JSON both read it.
func inline(value any) string {
	switch v := value.(type) {
	case []string:
		if len(v) == 0 {
			return "[]"
		}
		return `["` + strings.Join(v, `", "`) + `"]`
	case string:
		if v == "" {
			return `""`
		}
		return v
	}
	return fmt.Sprint(value)
}
