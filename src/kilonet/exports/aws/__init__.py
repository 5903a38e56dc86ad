"""A network as an AWS Lambda function: one archive with all that it needs, and its deployment."""
