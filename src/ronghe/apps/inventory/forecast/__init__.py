"""Demand forecasting: methods, classification, honest back-tests, intervals whose coverage is measured."""
