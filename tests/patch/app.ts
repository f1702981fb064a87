// An app of the AWS CDK whose projects get the patches, and what CloudFormation then gets.
import * as cdk from "aws-cdk-lib";
import * as codebuild from "aws-cdk-lib/aws-codebuild";
import * as iam from "aws-cdk-lib/aws-iam";
import { Template } from "aws-cdk-lib/assertions";
import { unthrottleApi } from "./api";
import { unthrottleRepo } from "./repo";
import { unthrottleWeb } from "./web";

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function environment(patch: (project: codebuild.Project) => void): { [member: string]: any } {
  const stack = new cdk.Stack(new cdk.App(), "Ci");
  const project = new codebuild.Project(stack, "Build", {
    projectName: "web",
    role: iam.Role.fromRoleName(stack, "Role", "codebuild-web"),
    buildSpec: codebuild.BuildSpec.fromSourceFilename("ci/buildspec.yml"),
    environment: { buildImage: codebuild.LinuxBuildImage.fromDockerRegistry("node:22"), privileged: true },
    environmentVariables: { STAGE: { value: "prod" } },
    source: codebuild.Source.gitHub({ owner: "acme", repo: "web" }),
  });
  patch(project);
  const template = Template.fromStack(stack).toJSON();
  const resources: any[] = Object.values(template.Resources);
  const made = resources.find((resource) => resource.Type === "AWS::CodeBuild::Project");
  const grants = Object.keys(template.Resources).filter((id) => template.Resources[id].Type === "AWS::IAM::RolePolicy");
  expect(grants.length === 1, "one grant");
  expect(made.DependsOn.includes(grants[0]), "the project waits for the grant");
  expect(template.Resources[grants[0]].Properties.PolicyDocument.Statement[0].Effect === "Allow", "an allowing grant");
  expect(made.Properties.Environment.Image === "node:22" && made.Properties.Environment.PrivilegedMode, "the rest stays");
  return made.Properties.Environment;
}

const web = environment(unthrottleWeb);
expect(web.RegistryCredential.CredentialProvider === "SECRETS_MANAGER", "a registry credential");
expect(web.ImagePullCredentialsType === "SERVICE_ROLE", "pulls with the role");
expect(web.EnvironmentVariables.length === 1, "its own variable");
for (const patch of [unthrottleApi, unthrottleRepo]) {
  const names = environment(patch).EnvironmentVariables.map((variable: any) => `${variable.Name} ${variable.Type}`);
  const ours = ["DOCKERHUB_USERNAME SECRETS_MANAGER", "DOCKERHUB_PASSWORD SECRETS_MANAGER"];
  expect(JSON.stringify(names) === JSON.stringify(["STAGE PLAINTEXT", ...ours]), names.join(", "));
}
