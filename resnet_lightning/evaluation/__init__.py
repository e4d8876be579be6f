"""The paper's ways of testing: ten crops, all positions at several scales, ensembles of networks (section 3.4)."""
