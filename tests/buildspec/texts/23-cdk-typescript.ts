import * as codebuild from 'aws-cdk-lib/aws-codebuild';

export const spec = codebuild.BuildSpec.fromObject({
  version: '0.2',
  phases: { build: { commands: ['docker build .'] } },
});
