//! What a client wants to see of a trace (`tracers.TraceConfig`).

use serde_json::value::RawValue;

use super::{
    Decode, Reason,
    object::{declared, member, members},
};

/// The last parameter of the tracing methods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceConfig {
    /// Leave the memory out of struct logs.
    pub disable_memory: bool,
    /// Leave the stack out of struct logs.
    pub disable_stack: bool,
    /// Leave the storage out of struct logs.
    pub disable_storage: bool,
    /// Most struct logs; 0 for all.
    pub limit: i64,
    /// Name of a tracer; none for struct logs.
    pub tracer: Option<String>,
    /// Most time for the execution, as Go writes durations.
    pub timeout: Option<String>,
    /// Most time for writing struct logs down, as Go writes durations.
    pub logger_timeout: Option<String>,
    /// Most blocks to execute again where a state is not kept.
    pub reexec: Option<u64>,
    /// What is up to the tracer; the reference client has nothing of it.
    pub tracer_config: TracerConfig,
}

/// What is up to a tracer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TracerConfig {
    /// `callTracer`: the outermost frame alone.
    pub only_top_call: bool,
    /// `callTracer`: logs of the frames, too.
    pub with_log: bool,
    /// `prestateTracer`: what changed, before and after.
    pub diff_mode: bool,
}

const LOG_MEMBERS: [&str; 5] = ["DisableMemory", "DisableStack", "DisableStorage", "Debug", "Limit"];
const MEMBERS: [&str; 5] = ["Tracer", "Timeout", "LoggerTimeout", "Reexec", "tracerConfig"];

impl Decode for TraceConfig {
    const GO: &'static str = "tracers.TraceConfig";

    fn decode(raw: &RawValue) -> Result<Self, Reason> {
        const ROOT: &str = "TraceConfig";
        let mut config = Self::default();
        for (name, value) in members(raw, Self::GO)? {
            if let Some(name) = declared(&LOG_MEMBERS, &name) {
                let path = |reason: Reason| reason.within(ROOT, name).within(ROOT, "LogConfig");
                match name {
                    "DisableMemory" => config.disable_memory = bool::decode(value).map_err(path)?,
                    "DisableStack" => config.disable_stack = bool::decode(value).map_err(path)?,
                    "DisableStorage" => config.disable_storage = bool::decode(value).map_err(path)?,
                    "Debug" => drop(bool::decode(value).map_err(path)?),
                    _ => config.limit = i64::decode(value).map_err(path)?,
                }
                continue;
            }
            match declared(&MEMBERS, &name) {
                Some(name @ "Tracer") => config.tracer = Some(member(ROOT, name, value)?),
                Some(name @ "Timeout") => config.timeout = Some(member(ROOT, name, value)?),
                Some(name @ "LoggerTimeout") => config.logger_timeout = Some(member(ROOT, name, value)?),
                Some(name @ "Reexec") => config.reexec = Some(member(ROOT, name, value)?),
                Some(_) => config.tracer_config = TracerConfig::read(value),
                None => {}
            }
        }
        Ok(config)
    }
}

impl TracerConfig {
    /// Unknown members and values of other kinds are left alone, as the reference client leaves all of them.
    fn read(raw: &RawValue) -> Self {
        let mut config = Self::default();
        let Ok(list) = members(raw, "tracerConfig") else { return config };
        for (name, value) in list {
            let value = bool::decode(value).unwrap_or_default();
            match declared(&["onlyTopCall", "withLog", "diffMode"], &name) {
                Some("onlyTopCall") => config.only_top_call = value,
                Some("withLog") => config.with_log = value,
                Some(_) => config.diff_mode = value,
                None => {}
            }
        }
        config
    }
}
