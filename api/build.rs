//! Makes one file of the SDK's modules, as a script and as a module: without network, tools or code of others.
//!
//! The modules in `sdk/src` keep to a few forms: they import names of their neighbours (`import { a, b } from
//! "./c.js";`), and export what they declare at the start of a line. So they can stand one after the other in one
//! function. Names that clash would not parse there; the tests load the file.

use std::{
    collections::HashSet,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../sdk/src");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut bundle = Bundle::default();
    bundle.add(&root.join("served.js"))?;
    let (script, module) = bundle.finish()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(module.as_bytes());
    println!("cargo::rustc-env=HUBBUB_SDK_VERSION={:016x}", hasher.finish());
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("hubbub.global.js"), script)?;
    fs::write(out.join("hubbub.js"), module)?;
    Ok(())
}

#[derive(Default)]
struct Bundle {
    seen: HashSet<PathBuf>,
    code: String,
    exports: Option<String>,
}

impl Bundle {
    /// Adds a module after those that it imports.
    fn add(&mut self, path: &Path) -> Result<(), Box<dyn Error>> {
        let path = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let text = fs::read_to_string(&path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut code = String::new();
        for line in text.lines() {
            if let Some(import) = line.strip_prefix("import ") {
                let module = import
                    .split_once(" from \"")
                    .and_then(|(_, from)| from.strip_suffix("\";"))
                    .filter(|module| module.starts_with('.'))
                    .ok_or_else(|| format!("{}: not an import of a neighbour: {line}", path.display()))?;
                self.add(&folder.join(module))?;
            } else if let Some(names) = line.strip_prefix("export {") {
                let names = names
                    .strip_suffix("};")
                    .ok_or("exported names must stand in one line")?;
                self.exports = Some(names.trim().to_owned());
            } else {
                writeln!(code, "{}", line.strip_prefix("export ").unwrap_or(line))?;
            }
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The names that a module keeps to itself stay its own.
        let declared: Vec<&str> = text.lines().filter_map(declared).collect();
        let names = declared.join(", ");
        if declared.is_empty() {
            writeln!(self.code, "// --- {name}\n{}", code.trim())?;
        } else {
            writeln!(
                self.code,
                "// --- {name}\nconst {{ {names} }} = (() => {{\n{}\nreturn {{ {names} }};\n}})();",
                code.trim()
            )?;
        }
        Ok(())
    }

    /// The script, which gives a global, and the module, which exports the same names too.
    fn finish(self) -> Result<(String, String), Box<dyn Error>> {
        let names = self.exports.ok_or("served.js exports nothing")?;
        let code = self.code;
        let script = format!(
            "/*! Hubbub client, Apache-2.0. It gives the global `Hubbub`. */\n\
             globalThis.Hubbub = (() => {{\n\"use strict\";\n{code}\nreturn {{ {names} }};\n}})();\n"
        );
        let module = format!("{script}export const {{ {names} }} = globalThis.Hubbub;\n");
        Ok((script, module))
    }
}

/// The name that an exported declaration gives.
fn declared(line: &str) -> Option<&str> {
    let line = line.strip_prefix("export ")?;
    let line = line.strip_prefix("async ").unwrap_or(line);
    let rest = ["class ", "function ", "const "]
        .iter()
        .find_map(|word| line.strip_prefix(word))?;
    rest.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .next()
}
