//! Whose infrastructure code owns a project? Told by its tags alone: what no tag tells is owned by nobody.

use crate::domain::build::Project;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What deploys a project, and would undo on its next run what others change in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The AWS CDK, which deploys by CloudFormation.
    Cdk,
    /// A CloudFormation template.
    CloudFormation,
    /// Terraform or OpenTofu.
    Terraform,
}

impl Owner {
    /// The name in events and of the form of a patch.
    pub fn name(self) -> &'static str {
        match self {
            Owner::Cdk => "cdk",
            Owner::CloudFormation => "cloudformation",
            Owner::Terraform => "terraform",
        }
    }

    /// The name that people use.
    pub fn title(self) -> &'static str {
        match self {
            Owner::Cdk => "the AWS CDK",
            Owner::CloudFormation => "CloudFormation",
            Owner::Terraform => "Terraform",
        }
    }
}

/// Keys of tags that by convention say what made a resource, in lower case without `-`, `_`, `:`, `.`, `/` and blanks.
const MAKER_KEYS: [&str; 16] = [
    "managedby",
    "managedwith",
    "managed",
    "createdby",
    "createdwith",
    "creator",
    "deployedby",
    "deployedwith",
    "deployment",
    "provisioner",
    "provisionedby",
    "provisionedwith",
    "iac",
    "iactool",
    "infrastructure",
    "source",
];

/// Keys that say it by being there, whatever their value.
const TERRAFORM_KEYS: [&str; 8] = [
    "tfworkspace",
    "tfmodule",
    "tfproject",
    "tfstack",
    "terraformworkspace",
    "terraformmodule",
    "terraformproject",
    "terraformstack",
];

/// Keys that say it unless their value denies it.
const TERRAFORM_FLAGS: [&str; 5] = ["terraform", "tf", "opentofu", "terragrunt", "terraformmanaged"];

const NO: [&str; 5] = ["false", "no", "0", "off", "none"];

/// Whose code owns the project. CloudFormation sets its tags itself; those of Terraform are set by people, who follow a
/// few conventions.
pub fn owner(project: &Project) -> Option<Owner> {
    let tags: Vec<(String, String, &str)> =
        project.tags.iter().map(|(key, value)| (plain(key), value.to_ascii_lowercase(), key.as_str())).collect();
    // The closest word wins: the CDK's stacks are CloudFormation's too.
    let told = |wanted: Owner| tags.iter().any(|(key, value, raw)| by_tag(key, value, raw) == Some(wanted));
    if told(Owner::Cdk) || made_by_cdk(project) {
        Some(Owner::Cdk)
    } else if told(Owner::CloudFormation) {
        Some(Owner::CloudFormation)
    } else if told(Owner::Terraform) {
        Some(Owner::Terraform)
    } else {
        None
    }
}

/// What one tag says.
fn by_tag(key: &str, value: &str, raw: &str) -> Option<Owner> {
    if raw.starts_with("aws-cdk:") || raw.starts_with("aws:cdk:") {
        return Some(Owner::Cdk);
    }
    if raw.starts_with("aws:cloudformation:") {
        return Some(Owner::CloudFormation);
    }
    if TERRAFORM_KEYS.contains(&key) || TERRAFORM_FLAGS.contains(&key) && !NO.contains(&value) {
        return Some(Owner::Terraform);
    }
    // Yor notes the file that defines the resource.
    if key == "gitfile" && (value.ends_with(".tf") || value.ends_with(".tf.json")) {
        return Some(Owner::Terraform);
    }
    if !MAKER_KEYS.contains(&key) {
        return None;
    }
    let words: Vec<&str> = value.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let says = |names: &[&str]| words.iter().any(|word| names.contains(word));
    if says(&["cdk", "awscdk"]) {
        Some(Owner::Cdk)
    } else if says(&["cloudformation", "cfn"]) {
        Some(Owner::CloudFormation)
    } else if says(&["terraform", "tf", "opentofu", "tofu", "terragrunt"]) {
        Some(Owner::Terraform)
    } else {
        None
    }
}

/// The logical ids that the CDK makes end in eight digits of a hash; `aws:cdk:path` is metadata of the template, and no
/// tag.
fn made_by_cdk(project: &Project) -> bool {
    let Some(id) = project.tag("aws:cloudformation:logical-id") else {
        return false;
    };
    let hash = id.len().checked_sub(8).and_then(|at| id.split_at_checked(at));
    hash.is_some_and(|(name, hash)| !name.is_empty() && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')))
}

/// A key as conventions compare: `Managed-By`, `managed_by` and `ManagedBy` are one.
fn plain(key: &str) -> String {
    key.chars().filter(|c| !"-_:./ ".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::project;
    use rstest::rstest;

    #[rstest]
    #[case(&[], None)]
    #[case(&[("team", "terraform")], None)]
    #[case(&[("managed-by", "hand")], None)]
    #[case(&[("Terraform", "false")], None)]
    #[case(&[("source", "github")], None)]
    #[case(&[("aws:servicecatalog:arn", "x")], None)]
    #[case(&[("ManagedBy", "Terraform")], Some(Owner::Terraform))]
    #[case(&[("managed_by", "Terragrunt")], Some(Owner::Terraform))]
    #[case(&[("created-by", "tf")], Some(Owner::Terraform))]
    #[case(&[("Provisioner", "OpenTofu v1.8")], Some(Owner::Terraform))]
    #[case(&[("iac", "terraform-cloud")], Some(Owner::Terraform))]
    #[case(&[("Terraform", "true")], Some(Owner::Terraform))]
    #[case(&[("terraform", "")], Some(Owner::Terraform))]
    #[case(&[("tf-workspace", "prod")], Some(Owner::Terraform))]
    #[case(&[("terraform:module", "ci")], Some(Owner::Terraform))]
    #[case(&[("git_file", "infra/main.tf")], Some(Owner::Terraform))]
    #[case(&[("git_file", "infra/main.go")], None)]
    #[case(&[("aws:cloudformation:stack-name", "web")], Some(Owner::CloudFormation))]
    #[case(&[("aws:cloudformation:stack-id", "arn")], Some(Owner::CloudFormation))]
    #[case(&[("ManagedBy", "CloudFormation")], Some(Owner::CloudFormation))]
    #[case(&[("aws:cloudformation:logical-id", "Build")], Some(Owner::CloudFormation))]
    #[case(&[("aws:cloudformation:logical-id", "DEADBEEF")], Some(Owner::CloudFormation))]
    #[case(&[("aws:cloudformation:logical-id", "WebBuild39F7B0AE")], Some(Owner::Cdk))]
    #[case(&[("aws-cdk:id", "x"), ("aws:cloudformation:stack-name", "web")], Some(Owner::Cdk))]
    #[case(&[("ManagedBy", "aws-cdk"), ("aws:cloudformation:stack-name", "web")], Some(Owner::Cdk))]
    #[case(&[("ManagedBy", "terraform"), ("aws:cloudformation:stack-name", "web")], Some(Owner::CloudFormation))]
    fn tags_tell_the_owner(#[case] tags: &[(&str, &str)], #[case] expected: Option<Owner>) {
        let project = tags.iter().fold(project("web"), |p, (key, value)| p.tagged(key, value));
        assert_eq!(owner(&project), expected);
    }

    #[rstest]
    #[case(Owner::Cdk, "cdk", "the AWS CDK")]
    #[case(Owner::CloudFormation, "cloudformation", "CloudFormation")]
    #[case(Owner::Terraform, "terraform", "Terraform")]
    fn an_owner_has_a_name_for_programs_and_one_for_people(
        #[case] owner: Owner,
        #[case] name: &str,
        #[case] title: &str,
    ) {
        assert_eq!((owner.name(), owner.title()), (name, title));
    }
}
