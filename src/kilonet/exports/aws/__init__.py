"""Export a network as an AWS Lambda function: one archive and a template to deploy it."""
