//! The codes of all problems, and what `serin lint --explain` says about each.
//!
//! | codes | about |
//! |---|---|
//! | `SRN001`–`SRN099` | the file and its structure |
//! | `SRN101`–`SRN199` | names, assignment, steps, analysis |
//! | `SRN201`–`SRN299` | metrics |
//! | `SRN301`–`SRN399` | gates, clients and notification |
//! | `SRN401`–`SRN499` | several files together |
//! | `SRN901`–`SRN999` | warnings |
//!
//! A code never changes its meaning; one that is no longer raised is not given to something else.

use super::problem::Severity;

/// Declares the codes: name, code, severity, title, explanation.
macro_rules! codes {
    ($($name:ident $code:literal $severity:ident $title:literal $explanation:literal)+) => {
        /// What kind of problem it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(
                #[doc = concat!("`", $code, "`: ", $title, ". ", $explanation)]
                $name,
            )+
        }

        impl Code {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as it is printed: `SRN` and three digits.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// Whether a policy with such a problem is refused.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)+
                }
            }

            /// The rule in a few words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                }
            }

            /// Why there is such a rule, and how to satisfy it.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => $explanation,)+
                }
            }
        }
    };
}

impl Code {
    /// The code that is printed as `text`, in either case.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

codes! {
    FileTooLarge "SRN001" Error "the file is too large"
    "A policy is a page of text; a file of more than 256 KiB is something else, and is not read."

    NotUtf8 "SRN002" Error "the file is not UTF-8"
    "Policies are text in UTF-8. Save the file in that encoding; the place of the first wrong byte is shown."

    Unreadable "SRN003" Error "the file cannot be read"
    "The operating system refused to read the file or folder, or a folder holds no `*.yaml` or `*.yml`."

    Syntax "SRN004" Error "the file is not YAML"
    "What follows a syntax error cannot be understood, so this is the only problem of its file that is shown. \
     The usual causes are tabs, a missing space after `:`, and an unclosed bracket or quote."

    Empty "SRN005" Error "the file is empty"
    "A policy file holds one mapping with `apiVersion`, `kind`, `metadata` and `spec`."

    SeveralDocuments "SRN006" Error "the file holds several documents"
    "One policy per file: its text is what a rollout keeps, and its history is that of the file. \
     Split the file at `---`."

    Reference "SRN007" Error "anchors, aliases and tags are not allowed"
    "`&name`, `*name`, `<<` and `!tag` make a text mean something else than it shows. Write the value out."

    TooDeep "SRN008" Error "the nesting is too deep"
    "No policy needs more than 16 lists or mappings inside each other."

    KeyNotText "SRN009" Error "a key is not text"
    "Keys are words, such as `exposure`; a list or mapping cannot be one."

    DuplicateKey "SRN010" Error "a key is there twice"
    "It would be a guess which of both values is meant. Remove one."

    UnknownKey "SRN011" Error "unknown key"
    "Serin does not ignore what it does not know: a mistyped `floor` would silently be no floor. \
     `serin schema` prints all keys for editors."

    MissingKey "SRN012" Error "a required key is missing"
    "The key has no default that would be right for everybody."

    WrongType "SRN013" Error "a value is of the wrong type"
    "Text, numbers, lists and mappings are told apart. A text that looks like a number needs quotes, \
     and a number must not have them."

    UnknownWord "SRN014" Error "a word is not one of those that are possible"
    "The value is one of a fixed set of words, and case matters."

    NotAPercentage "SRN015" Error "not a percentage"
    "Shares are percentages with their sign: `5%`, `0.25%`. A bare number is refused, because `1` could \
     mean one per cent or everybody."

    PercentageTooFine "SRN016" Error "a percentage is too fine"
    "Exposures are kept as whole parts per million, so that they are exact: four decimal places at most."

    NotADuration "SRN017" Error "not a duration"
    "Durations are whole numbers with units, the largest unit first: `90s`, `30m`, `24h`, `7d`, `1h30m`."

    NotANumber "SRN018" Error "not a number that can be used"
    "A plain decimal number is expected; where things are counted, a whole one."

    TooManyProblems "SRN019" Error "there are more problems than are shown"
    "At most 100 problems of a file are shown. Mend those, and run again."

    ListLength "SRN020" Error "a list is too short or too long"
    "Every list has a bound, so that a policy stays something that people and Serin can take in."

    ApiVersion "SRN101" Error "unknown `apiVersion`"
    "The format of the file. This version of Serin reads `serin/v1`."

    Kind "SRN102" Error "unknown `kind`"
    "A policy file says `kind: RolloutPolicy`."

    PolicyName "SRN103" Error "not a policy name"
    "The name stands in URLs and telemetry, so it is a DNS label: `a`-`z`, `0`-`9` and `-`, at most 63."

    Owner "SRN104" Error "not an owner"
    "The team that answers for the policy: 1 to 128 characters on one line."

    PromptName "SRN105" Error "not a prompt name"
    "1 to 255 characters without `|`, control characters or spaces at the ends; `/` makes folders."

    RegistryName "SRN106" Error "not a registry name"
    "The name of a registry in the server's settings; `embedded` is Serin's own."

    Label "SRN107" Error "not a label"
    "Labels are 1 to 36 of `a`-`z`, `0`-`9`, `_`, `-` and `.`, so that every registry can hold them."

    SameLabels "SRN108" Error "both arms have the same label"
    "The control label points at the stable version and the treatment label at the candidate: one label \
     cannot do both."

    LabelLatest "SRN109" Error "the label `latest` is not steered"
    "Registries move `latest` by themselves whenever a version is created, so it can neither hold a stable \
     version nor be taken back."

    Salt "SRN120" Error "not a salt"
    "The salt seeds the split of users: 1 to 128 bytes without control characters."

    Holdback "SRN121" Error "the holdback leaves nobody to treat"
    "The holdback is the share that stays in control until promotion; it is below 100%."

    UserKey "SRN122" Error "not a user key"
    "A user key is 1 to 256 bytes of UTF-8, exactly as the services send it."

    ForcedToBothArms "SRN123" Error "a user is forced into both arms"
    "A user has one arm."

    ForcedTwice "SRN124" Error "a user is forced twice"
    "The second entry adds nothing, and hides what was meant."

    AttributeName "SRN125" Error "not the name of an attribute"
    "What services send with a user as `attribute.NAME`: 1 to 64 letters, digits, `_`, `.` and `-`, with a \
     letter or `_` first."

    TargetingTest "SRN126" Error "not one test"
    "Each entry of `targeting` has an `attribute` with one of `in`, `notIn`, `number` and `version`, or a \
     `share` with its `salt`; a user enters who meets all entries."

    TargetingValue "SRN127" Error "not a value that an attribute is compared with"
    "`in` and `notIn` list values of one type, each of at most 256 bytes: a text is never equal to a number."

    Comparison "SRN128" Error "not a comparison"
    "`number` and `version` hold comparisons with blanks between them, all of which must hold. Versions are \
     those of Semantic Versioning 2.0.0, with three numbers and in its order of precedence."

    SegmentShare "SRN129" Error "the share is out of bounds"
    "`share` is the part of users among whom the rollout is: above 0% and at most 100%."

    ExposureBounds "SRN130" Error "an exposure is out of bounds"
    "A step exposes more than 0% and at most 100% of the users."

    ExposureNotRising "SRN131" Error "exposures do not rise"
    "Each step exposes more users than the one before. To stay longer at an exposure, lengthen its `bake`."

    LastStep "SRN132" Error "the last step is not 100%"
    "A rollout ends with everybody (all but the holdback) in treatment, so that promotion surprises nobody."

    Bake "SRN133" Error "a bake is out of bounds"
    "The least time in a step is 0s to 90d."

    Samples "SRN134" Error "a number of samples is out of bounds"
    "At most 1,000,000,000 observations can be asked for."

    NobodyNew "SRN135" Error "a step reaches nobody new"
    "The holdback takes the upper end of the hash line: a step above 100% − holdback is cut off there. \
     Two steps that are cut off alike are one step."

    Watch "SRN136" Error "the watch is out of bounds"
    "A promoted version is watched for 0s to 90d."

    Alpha "SRN140" Error "alpha is out of bounds"
    "Alpha is the chance of a false rollback over the whole rollout: above 0% and at most 50%."

    Every "SRN141" Error "the interval of the analysis is out of bounds"
    "Verdicts are drawn every 1s to 1h."

    Patience "SRN142" Error "a wait is out of bounds"
    "`noData.after` and `inconclusive.after` are 1s to 90d."

    GroupName "SRN150" Error "not a group name"
    "The name draws the users of the group: 1 to 63 of `a`-`z`, `0`-`9` and `-`, as a DNS label."

    GroupRange "SRN151" Error "not a part of a group"
    "The policy has the users of its group from `from` up to `to`, so that they stay who they are when policies \
     join and leave."

    MetricName "SRN201" Error "not a metric name"
    "1 to 64 of letters, digits, `_`, `-` and `.`, with a letter or digit first: the name in observations."

    MetricTwice "SRN202" Error "a metric is there twice"
    "Observations name their metric, so the name must tell which one is meant."

    NoGuardrail "SRN203" Error "there is no guardrail"
    "A rollout advances once every guardrail is proved healthy. Without one, it would advance on nothing."

    BetterMissing "SRN204" Error "`better` is missing"
    "More errors are bad and more thumbs up are good: for a rate, Serin cannot know which it is."

    Range "SRN205" Error "not a range"
    "`range: [least, greatest]` bounds the values of a score; values outside are refused when they arrive."

    MarginUnit "SRN206" Error "the margin has the wrong unit"
    "A score's margin is a number in its own units, or a percentage of the control's mean. A rate's is in \
     percentage points (`0.5pp`), or a percentage of the control's rate (`10%`)."

    MarginNotPositive "SRN207" Error "the margin is not above zero"
    "The margin is the worsening that is tolerated. With none at all, health could never be proved."

    MarginTooLarge "SRN208" Error "the margin is too large"
    "A margin as wide as the range, or a relative one of 100% or more, would tolerate everything."

    MarginRelativeToNegative "SRN209" Error "a relative margin needs a range from zero up"
    "Ten per cent of a mean that may be zero or negative is not a tolerance. Give the margin as a number."

    LimitDirection "SRN210" Error "the limit is on the wrong side"
    "`floor` is for metrics where higher is better, `ceiling` for those where lower is better."

    LimitOutside "SRN211" Error "the limit is not inside the range"
    "A limit at or beyond an end of the range is either always kept or always broken."

    LimitUnit "SRN212" Error "the limit has the wrong unit"
    "A score's limit and baseline are numbers in its own units, a rate's are percentages, a latency's are \
     durations."

    BaselineOutside "SRN213" Error "the baseline is not inside the range"
    "The baseline is the mean, or the rate, from before the rollout."

    Weight "SRN214" Error "the weight is out of bounds"
    "Weights share out alpha among the metrics: above 0, at most 1000."

    KeyOfOtherKind "SRN215" Error "the key belongs to another kind of metric"
    "`range` belongs to scores, `quantile` and `quantiles` to latencies, `cap` to amounts, `scale` and `unit` \
     to both of these."

    Quantile "SRN216" Error "the quantile is out of bounds"
    "A quantile is above 0% and below 100%, such as `95%`; several are given in rising order."

    BetterOfKind "SRN217" Error "the direction contradicts the kind"
    "A latency is better when it is lower."

    LatencyStatistic "SRN218" Error "a latency is compared in one way"
    "By one quantile (`quantile: 95%`), by several that share its weight (`quantiles: [50%, 95%]`), or by the \
     mean of its logarithm (`scale: log`), which sees the whole distribution."

    Cap "SRN219" Error "the cap of a winsorised amount is wrong"
    "`scale: winsorised` compares the mean of values that are cut at `cap`, a number above 0 that was known \
     before the rollout: its 99.9th percentile is a good one. Without the cut, one outlier would decide."

    CriticalRole "SRN220" Error "only a guardrail can be critical"
    "A critical guardrail takes the candidate back for every worsening that is proved. A goal has no margin \
     to look past, and a watched metric never acts."

    Unit "SRN221" Error "the unit cannot be used"
    "A latency comes in `s` or `ms`. The unit of an amount is shown as it is written: 1 to 32 characters."

    MarginTooSmall "SRN222" Error "the margin is finer than values are kept"
    "Quantiles are read from bins that are 2% wide, so that a margin below 1% could not be told from none."

    Feed "SRN223" Error "not what can feed a metric"
    "`from` says what feeds a metric besides observations that name it. Facts of spans are times, failures \
     or amounts, and a metric of another kind cannot take them."

    Dataset "SRN301" Error "not a dataset name"
    "The dataset that evaluations are recorded on: 1 to 255 characters on one line."

    EvaluationFloor "SRN302" Error "the floor of an evaluation is out of range"
    "A floor lies in the range of the metric with the same name; in 0 to 1 where `metrics` has none."

    ApprovalCount "SRN303" Error "the number of approvals is out of bounds"
    "1 to 10 different people approve."

    Approver "SRN304" Error "this approver cannot be"
    "Each approver is named once, as their token is: 1 to 128 characters without control characters."

    ApproversTooFew "SRN305" Error "fewer people may approve than must"
    "With fewer names in `by` than `from` asks for, the gate could never open."

    ClientTtl "SRN306" Error "a time to live is out of bounds"
    "Applications keep a prompt for 0s to 1d: one that keeps it longer cannot be rolled back by a label."

    Webhook "SRN310" Error "not a webhook"
    "An `http://` or `https://` URL with a host, without a user or password in it (policies are kept in git)."

    NotifyOnTwice "SRN311" Error "a transition is listed twice"
    "One message per transition is enough."

    NotifySecret "SRN312" Error "the secret of a notification cannot be used so"
    "`secret` names a secret of the server's settings. In a URL, `{secret}` stands for it, once, after the \
     host, and in the format `slack` alone: the others sign with it, or send it as a bearer token."

    PolicyTwice "SRN401" Error "two policies have the same name"
    "The name identifies a policy in URLs, telemetry and the history."

    LabelShared "SRN402" Error "two policies steer the same label"
    "Both would move it, and each would take the other for a stranger."

    GroupOverlap "SRN403" Error "two policies have the same users of a group"
    "A user is in treatment of one policy of a group at most, so that its policies have parts that do not \
     overlap."

    BakeShort "SRN901" Warning "a bake is shorter than three intervals of the analysis"
    "With fewer than three verdicts in a step, its bake protects nobody."

    NoSamples "SRN902" Warning "the first step asks for no samples"
    "A step without `samples` is left on the first proof of health, which few observations may carry. 100 is \
     a modest number."

    WatchedWeight "SRN903" Warning "the weight of a watched metric has no effect"
    "A watched metric is shown and never acted on."

    AlphaLarge "SRN904" Warning "alpha is above 10%"
    "More than one in ten good candidates may be taken back."

    LabelsSwapped "SRN905" Warning "the labels look swapped"
    "`control` is what users have today, `treatment` is on trial."

    LimitBeyondBaseline "SRN906" Warning "the limit is beyond the baseline"
    "A candidate as good as today's version would break the limit and be rolled back."

    WeightSmall "SRN908" Warning "a weight is so small that its metric hardly counts"
    "A metric with less than a hundredth of all weight needs a hundred times the evidence to roll back."

    ApprovalUnused "SRN909" Warning "nothing waits for the approval"
    "`gates.approval` says how many approve, but neither the start nor a step waits for them."

    HoldbackCuts "SRN910" Warning "the holdback cuts a step off"
    "A step above 100% − holdback reaches only 100% − holdback, so that the last step reaches nobody new."

    PatienceShorterThanBake "SRN911" Warning "the patience ends before the bake"
    "`inconclusive.after` counts from the beginning of a step. When it is shorter than the bake, a step that \
     is still undecided is ended before it has baked."

    PatienceShorterThanEvery "SRN912" Warning "the patience is shorter than an interval of the analysis"
    "Silence is noticed when a verdict is drawn, so it cannot be noticed sooner than `every`."

    SplitChanged "SRN913" Warning "the split changed while a rollout runs"
    "The running rollout keeps the split it started with. A retry of its candidate under the new one gives \
     some users the other version."

    ShareUnresolved "SRN914" Warning "the hash cannot tell this share from another"
    "Hashes of other systems count in cells: 0.1% (`unleash`, `growthbook-v1`), 0.01% (`growthbook-v2`, `eppo`, \
     `optimizely`, `statsig`) or 0.001% (`launchdarkly`). A share between two of them is rounded up, as that \
     system's SDKs compute it."

    SdkOfOtherScheme "SRN915" Warning "an SDK hashes otherwise than the policy"
    "An SDK that evaluates the policy by itself must place users with the policy's hash, or they get another \
     arm there than Serin counts them for."

    SdkBeyondAscii "SRN916" Warning "an SDK does not hash UTF-8"
    "Some SDKs hash something else than UTF-8, which is the same for ASCII alone. Their users with other \
     characters in the key get another arm there than Serin counts them for."

    SplitsCorrelate "SRN917" Warning "related salts draw related users"
    "`growthbook-v1` puts the salt last, where FNV-1a hardly mixes it, so that two rollouts with salts such as \
     `a` and `b` do not draw independent users, and one carries over into the other."

    TargetingNobody "SRN918" Warning "nobody can meet a condition"
    "An empty list, or comparisons that leave nothing between them, keep everybody out: the rollout would \
     wait for observations for ever."

    SdkCannotTarget "SRN919" Warning "SDKs that evaluate by themselves cannot follow"
    "Users outside of a rollout are told apart with Serin's secret or by its own comparisons, so that such a \
     policy is not published for SDKs that evaluate by themselves: they serve the default of the application."

    TrafficBelowPatience "SRN921" Warning "a step is not passed before the patience ends"
    "With the traffic that `--traffic` names, a candidate as good as today's version is not proved healthy \
     before `inconclusive.after` is over. Widen the margin, raise the exposure of the step, or be more \
     patient; `serin plan` shows the hours."

    TrafficBelowGuards "SRN922" Warning "a step has no evidence before the patience ends"
    "No evidence counts before there are enough treated observations from enough users, and for a rate \
     enough events. With the traffic that `--traffic` names, they are not there before `inconclusive.after` \
     is over. Raise the exposure of the step, or be more patient."

    SamplesBelowGuards "SRN923" Warning "fewer samples than any evidence needs"
    "No evidence counts before there are so many treated observations, so that `samples` has no effect."

    TrafficBelowSilence "SRN924" Warning "treated observations are too rare to be missed"
    "With the traffic that `--traffic` names, a guardrail is silent for `noData.after` by chance alone. \
     Lengthen it, or raise the exposure of the step."

    LongerThanBakes "SRN925" Warning "the rollout takes much longer than its bakes"
    "With the traffic that `--traffic` names, evidence and samples take longer than all bakes together, so \
     that the file does not show how long users wait; `serin plan` does."

    LabelTakenIn "SRN926" Warning "other prompts take in a label that the policy moves"
    "A prompt that takes in another by its label (`@@@langfusePrompt:name=…|label=…@@@`) changes for all of its \
     users when that label moves, without steps, and nothing is measured of it. Have it take in a version, or a \
     label that no policy moves."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_warnings_are_those_from_901() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
        for code in Code::ALL {
            let warns = code.severity() == Severity::Warning;
            assert_eq!(warns, code.as_str() > "SRN900", "{code:?}");
            assert_eq!(Code::from_text(&code.as_str().to_lowercase()), Some(*code));
        }
    }

    #[test]
    fn titles_are_phrases_and_explanations_are_sentences() {
        for code in Code::ALL {
            assert!(!code.title().ends_with('.'), "{code:?}");
            assert!(code.explanation().ends_with('.'), "{code:?}");
            assert!(!code.explanation().contains("  "), "{code:?}");
        }
    }
}
